"""What changes in an account is written into the audit, as django-allauth tells of it."""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as factors
from django.contrib.auth.models import User
from django.http import HttpRequest

from keys.audit import coming_from, record

WORDS = {
    account.password_changed: "person.password_changed",
    account.password_reset: "person.password_reset",
    factors.authenticator_added: "factor.added",
    factors.authenticator_removed: "factor.removed",
    factors.authenticator_reset: "factor.renewed",
}


def write(*, signal: Any, request: HttpRequest, user: User, **told: Any) -> None:
    """The receiver of all of WORDS."""
    factor = told.get("authenticator")
    detail: dict[str, object] = {"factor": factor.type} if factor else {}
    target = user.get_username()
    with coming_from(request.META.get("REMOTE_ADDR") or None):  # it may be told after the answer, on commit
        record(project=None, actor=user, action=WORDS[signal], target=target, detail=detail)


def connect() -> None:
    for signal in WORDS:
        signal.connect(write, dispatch_uid="persona.account.audit")
