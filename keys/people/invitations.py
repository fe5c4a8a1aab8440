"""Invitations: a link that works once and for 7 days. Its token exists nowhere but in the link."""

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from keys.audit import Actor, actor_name, record
from keys.models import Invitation, Member, Project

LIFETIME = timedelta(days=7)


@transaction.atomic
def invite(*, project: Project, role: str, email: str, actor: Actor) -> tuple[Invitation, str]:
    """A new invitation and its token."""
    token = secrets.token_urlsafe(32)
    made = Invitation.objects.create(
        project=project,
        role=role,
        email=email,
        digest=_digest(token),
        invited_by=actor_name(actor),
        expires_at=timezone.now() + LIFETIME,
    )
    _record(made, actor, "member.invited")
    return made, token


def find(token: str) -> Invitation | None:
    """The invitation of a link that still works."""
    usable = Invitation.objects.select_related("project").filter(expires_at__gt=timezone.now())
    return usable.filter(digest=_digest(token)).first()


@transaction.atomic
def accept(*, token: str, person: User) -> Member | None:
    """The person is a member now, and the link is used up. None: it no longer works.

    Who is a member already keeps the stronger of the two roles.
    """
    found = find(token)
    held = found and Invitation.objects.select_for_update().filter(pk=found.pk, project=found.project_id).first()
    if found is None or held is None:  # two who open it at once: the second finds nothing under the lock
        return None
    member, new = Member.objects.get_or_create(project=found.project, user=person, defaults={"role": found.role})
    strength = list(Member.Role.values)
    if not new and strength.index(found.role) < strength.index(member.role):
        member.role = found.role
        member.save(update_fields=["role"])
    held.delete()
    detail: dict[str, object] = {"role": member.role, "invited_by": found.invited_by}
    record(
        project=found.project,
        actor=person,
        action="member.joined",
        target=person.get_username(),
        detail=detail,
    )
    return member


@transaction.atomic
def withdraw(*, invitation: Invitation, actor: Actor) -> None:
    """The link stops working."""
    _record(invitation, actor, "member.invitation_withdrawn")
    invitation.delete()


def pending(project: Project) -> list[Invitation]:
    """Those that still work, newest first; those that have expired are forgotten on this occasion."""
    Invitation.objects.filter(project=project, expires_at__lte=timezone.now()).delete()
    return list(Invitation.objects.filter(project=project).order_by("-id")[:100])


def _record(invitation: Invitation, actor: Actor, action: str) -> None:
    record(
        project=invitation.project,
        actor=actor,
        action=action,
        target=invitation.email or f"link {invitation.pk}",
        detail={"role": invitation.role},
    )


def _digest(token: str) -> bytes:
    """The token has 256 bits of chance: a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).digest()
