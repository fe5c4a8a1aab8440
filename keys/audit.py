"""Writing down who did what. Call it in the transaction of the deed, so that neither exists without the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.contrib.auth.models import User

from keys.models import AuditEntry, Project
from persona.lib.log import get_logger

log = get_logger(__name__)

Actor = User | str  # a person, or the name of what acted: "manage.py", a key's lookup
_address: ContextVar[str | None] = ContextVar("address", default=None)


@contextmanager
def coming_from(address: str | None) -> Iterator[None]:
    """Whatever is recorded meanwhile came from this address. A middleware says so once, for pages and API alike."""
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)


def actor_name(actor: Actor) -> str:
    return actor if isinstance(actor, str) else actor.get_username()


def record(
    *, project: Project | None, actor: Actor, action: str, target: str, detail: dict[str, object] | None = None
) -> None:
    """action: `entity.verb`; target: a slug, a lookup or a user name; detail: ids and words, never a secret."""
    AuditEntry.objects.create(
        project=project,
        actor=actor_name(actor),
        action=action,
        target=target,
        detail=detail or {},
        address=_address.get(),
    )
    log.info(action, project=project and project.pk, target=target)
