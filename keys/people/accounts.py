"""What an operator does for a person who cannot get in. Every deed is audited.

No password is seen or set by the operator: the person sets a new one by a link that works once.
"""

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.db import transaction

from keys.audit import Actor, record
from keys.models import Member, Project
from persona.lib.problems import Problem

RESET = "account_reset_password_from_key"  # the route that takes `reset_key`


@transaction.atomic
def reset_key(*, person: User, actor: Actor) -> tuple[str, str]:
    """The two parts of a link with which the person sets a new password.

    It works once, for PASSWORD_RESET_TIMEOUT seconds, and no more once they sign in otherwise. Their second factor
    stays. Raises Problem 409 person.inactive.
    """
    if not person.is_active:
        raise Problem(409, "person.inactive", f"{person} may not sign in: make the account active first.")
    _record(person, actor, "person.reset_link_made", {})
    return user_pk_to_url_str(person), default_token_generator.make_token(person)


@transaction.atomic
def remove_factors(*, person: User, actor: Actor) -> int:
    """Takes every second factor off the account, and ends its sessions: what was lost may be in other hands.

    How many there were, recovery codes not counted.
    """
    held = Authenticator.objects.select_for_update().filter(user=person)
    kinds = sorted(authenticator.type for authenticator in held if authenticator.type != "recovery_codes")
    held.delete()
    for session in UserSession.objects.filter(user=person):
        session.end()
    _record(person, actor, "factor.removed", {"factors": kinds})
    return len(kinds)


def only_owner_of(persons: list[User]) -> list[Project]:
    """Projects that nobody could manage any more without these persons."""
    owners = Member.objects.filter(role=Member.Role.OWNER)
    theirs = Project.objects.filter(pk__in=owners.filter(user__in=persons).values("project"))
    return list(theirs.exclude(pk__in=owners.exclude(user__in=persons).values("project")).order_by("slug"))


def _record(person: User, actor: Actor, action: str, detail: dict[str, object]) -> None:
    target = person.get_username()
    record(project=None, actor=actor, action=action, target=target, detail=detail)
