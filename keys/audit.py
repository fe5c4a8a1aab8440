"""Writing down who did what. Call it in the transaction of the deed, so that neither exists without the other."""

from django.contrib.auth.models import User

from keys.models import AuditEntry, Project
from persona.lib.log import get_logger

log = get_logger(__name__)

Actor = User | str  # a person, or the name of what acted: "manage.py", a key's lookup


def actor_name(actor: Actor) -> str:
    return actor if isinstance(actor, str) else actor.get_username()


def record(
    *,
    project: Project | None,
    actor: Actor,
    action: str,
    target: str,
    detail: dict[str, object] | None = None,
    address: str | None = None,
) -> None:
    """action: `entity.verb`; target: a slug, a lookup or a user name; detail: ids and words, never a secret."""
    AuditEntry.objects.create(
        project=project, actor=actor_name(actor), action=action, target=target, detail=detail or {}, address=address
    )
    log.info(action, project=project and project.pk, target=target)
