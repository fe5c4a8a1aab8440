"""Secrets that a project shares with whoever signs for it: made or taken, read to verify, and ended."""

import secrets

from django.db import transaction
from django.db.models import QuerySet

from keys.audit import Actor, record
from keys.models import Project, ProjectSecret
from keys.sealed import seal, unseal
from persona.lib.problems import Problem

MOST = 2  # the current one, and the one that follows or precedes it
LENGTH = 256
IDENTITY_BYTES = 32
Kind = ProjectSecret.Kind


@transaction.atomic
def add(*, project: Project, kind: str, value: str | None, actor: Actor) -> str:
    """Another secret of the project. `value` None: a new one is made, for a user id's signature. It is returned and
    shown nowhere else. Raises Problem 400 secret.invalid, 409 secret.too_many."""
    given = _checked(kind, value)
    Project.objects.select_for_update().get(pk=project.pk)  # two at once must not become three
    if of_project(project.pk, kind).count() >= MOST:
        raise Problem(
            409, "secret.too_many", f"There are {MOST} {kind} secrets. Remove the one that is not used any more."
        )
    made = ProjectSecret.objects.create(project=project, kind=kind, sealed=seal(given))
    record(project=project, actor=actor, action="secret.added", target=str(made.pk), detail={"kind": kind})
    return given


@transaction.atomic
def remove(*, secret: ProjectSecret, actor: Actor) -> None:
    """What was signed with it is refused from now on."""
    record(
        project=secret.project,
        actor=actor,
        action="secret.removed",
        target=str(secret.pk),
        detail={"kind": secret.kind},
    )
    secret.delete()


def of_project(project_id: int, kind: str) -> QuerySet[ProjectSecret]:
    """Newest first."""
    return ProjectSecret.objects.filter(project_id=project_id, kind=kind).order_by("-id")


def values(project_id: int, kind: str) -> list[bytes]:
    """The secrets that verify, newest first, as the bytes that sign. Raises Unreadable."""
    found = [unseal(secret.sealed) for secret in of_project(project_id, kind)]
    return [bytes.fromhex(text) if kind == Kind.IDENTITY else text.encode() for text in found]


def _checked(kind: str, value: str | None) -> str:
    if kind not in Kind.values:
        raise Problem(400, "secret.invalid", f"The kind is one of {', '.join(Kind.values)}.")
    if value is None and kind == Kind.IDENTITY:
        return secrets.token_hex(IDENTITY_BYTES)
    given = (value or "").strip()
    if not given or len(given) > LENGTH:
        raise Problem(400, "secret.invalid", f"A secret has 1 to {LENGTH} characters.")
    if kind == Kind.IDENTITY:
        _check_hexadecimal(given)
    return given


def _check_hexadecimal(given: str) -> None:
    try:
        bytes.fromhex(given)
    except ValueError:
        raise Problem(400, "secret.invalid", "An identity secret is hexadecimal: two digits for each byte.") from None
