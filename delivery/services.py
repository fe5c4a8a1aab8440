"""What people do with destinations. Each deed is one transaction, and audited.

All raise Problem: 400 destination.invalid, 404 for what was deleted meanwhile, 409 for what its state does not allow.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings as installation
from django.db import connection, transaction
from django.utils import timezone

from delivery.checked import (
    checked_kind,
    checked_ops,
    checked_personas,
    checked_secret,
    checked_settings,
    checked_url,
    invalid,
)
from delivery.models import BY_HAND, Attempt, Cursor, Destination
from delivery.outgoing import Item
from delivery.sending import messages, queue, turn, wave
from delivery.sending.kinds import transport_of
from delivery.tasks import DELIVER
from ingestion import log as applied
from keys import sealed
from keys.audit import Actor, record
from keys.models import Project
from keys.project_settings import keep
from persona.lib import ids
from persona.lib.outbound import Answer
from persona.lib.problems import Problem, no_such_thing
from segments import log, publisher

GRACE_MOST = timedelta(days=7)
SECRET_LENGTH = 32

HURRY = """
update delivery_attempt set next_at = %s where project_id = %s and destination_id = %s and status = 'waiting'
"""
AWAKE = """
update delivery_cursor set resting_until = 0, failures = 0, failing_since = null
where project_id = %s and destination_id = %s
"""


@transaction.atomic
def create_destination(
    *,
    project: Project,
    kind: str,
    name: str,
    actor: Actor,
    url: str = "",
    personas: list[str] | None = None,
    ops: list[str] | None = None,
    settings: Any = None,
    secret: str = "",
) -> tuple[Destination, str]:
    """A destination that is told what happens from now on, and its secret. A webhook's secret is made here; the one
    of an analytics product is given."""
    Project.objects.select_for_update().get(pk=project.pk)
    most = installation.PERSONA_PROJECT_DESTINATIONS
    if Destination.objects.filter(project=project).count() >= most:
        raise Problem(409, "destination.too_many", f"A project has at most {most} destinations.")
    forwards = checked_kind(kind) != Destination.Kind.WEBHOOK
    shown = checked_secret(secret) if forwards else new_secret()
    destination = Destination.objects.create(
        project=project,
        kind=kind,
        name=_checked_name(name),
        url=checked_url(kind, url),
        personas=checked_personas(project, personas or []),
        ops=checked_ops(ops or []),
        settings=checked_settings(kind, settings or {}),
        secret=sealed.seal(shown),
    )
    start = applied.head(project.pk) if forwards else log.bounds(project.pk)[1]
    Cursor.objects.create(project=project, destination_id=destination.pk, seq=start)
    _follow(project)
    publish_names(project)
    audit(destination, actor, "destination.created", kind=kind)
    return destination, shown


@transaction.atomic
def change_destination(
    *,
    destination: Destination,
    changes: Mapping[str, Any],
    actor: Actor,
    check: Callable[[Destination], None] = lambda _: None,
) -> Destination:
    """name, url, personas, ops, settings, and for an analytics product its secret. `check` sees the row as it is now,
    under its lock, and may raise."""
    found = locked(destination)
    check(found)
    checks: dict[str, Callable[[Any], Any]] = {
        "name": _checked_name,
        "url": lambda given: checked_url(found.kind, given),
        "personas": lambda given: checked_personas(found.project, given),
        "ops": checked_ops,
        "settings": lambda given: checked_settings(found.kind, given),
        "secret": lambda given: _given_secret(found, given),
    }
    for field, value in changes.items():
        setattr(found, field, checks[field](value))
    _save(found)
    audit(found, actor, "destination.changed", fields=sorted(changes))
    return found


@transaction.atomic
def delete_destination(
    *, destination: Destination, actor: Actor, check: Callable[[Destination], None] = lambda _: None
) -> None:
    """It, its deliveries and its place in the log are gone; what is under way may still arrive. `check` as above."""
    found = locked(destination)
    check(found)
    project, number = found.project, found.pk
    audit(found, actor, "destination.deleted")
    found.delete()
    Cursor.objects.filter(project=project, destination_id=number).delete()
    Attempt.objects.filter(project=project, destination_id=number).delete()
    _follow(project)
    publish_names(project)


@transaction.atomic
def rotate_secret(*, destination: Destination, grace: timedelta, actor: Actor) -> str:
    """A new signing secret of a webhook. For `grace` (0 to 7 days) both sign."""
    found = locked(destination)
    if found.forwards:
        raise invalid("secret", "The secret of an analytics product is made there: change it to the new one.")
    if not timedelta(0) <= grace <= GRACE_MOST:
        raise invalid("grace_seconds", "Between 0 and 604800 seconds.")
    fresh = new_secret()
    found.former_secret = found.secret if grace else ""
    found.former_until = timezone.now() + grace if grace else None
    found.secret = sealed.seal(fresh)
    _save(found)
    audit(found, actor, "destination.rotated", grace_seconds=int(grace.total_seconds()))
    return fresh


@transaction.atomic
def pause_destination(*, destination: Destination, actor: Actor) -> Destination:
    """Nothing is sent until it is resumed; nothing is lost while the log is kept."""
    found = locked(destination)
    if found.status != Destination.Status.PAUSED:
        found.status, found.paused_because = Destination.Status.PAUSED, BY_HAND
        _save(found)
        audit(found, actor, "destination.paused")
    return found


@transaction.atomic
def resume_destination(*, destination: Destination, actor: Actor) -> Destination:
    """Go on where it stood, with everything that waits due at once."""
    found = locked(destination)
    found.status, found.paused_because = Destination.Status.ACTIVE, ""
    _save(found)
    scope = [found.project_id, found.pk]
    with connection.cursor() as cursor:
        cursor.execute(HURRY, [queue.clock(), *scope])
        cursor.execute(AWAKE, scope)
    audit(found, actor, "destination.resumed")
    wake()
    return found


def ping(*, destination: Destination, actor: Actor) -> Answer:
    """Send a test message now, outside of all order, and give back what came of it."""
    if destination.forwards:
        raise Problem(409, "destination.no_ping", "An analytics product would count a test as an event.")
    number = ids.opaque("", 8)
    body = messages.ping(destination.project.slug, number=number, now=queue.clock())
    request = transport_of(destination).request(
        wave.target_of(destination), [Item(f"ping-{number}", message=body)], now=queue.clock()
    )
    answer = turn.client().post(request)
    audit(destination, actor, "destination.pinged", status=answer.status)
    return answer


def new_secret() -> str:
    return ids.opaque("whsec_", SECRET_LENGTH)


def locked(destination: Destination) -> Destination:
    """The row as it is now, held until the end of the transaction. Raises the 404 when it is gone."""
    rows = Destination.objects.select_for_update(of=("self",)).select_related("project")
    found = rows.filter(pk=destination.pk, project=destination.project_id).first()
    if found is None:
        raise no_such_thing()
    return found


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > 200:
        raise invalid("name", "1 to 200 characters are needed.")
    return name.strip()


def _given_secret(destination: Destination, given: str) -> str:
    if not destination.forwards:
        raise invalid("secret", "A webhook's secret is made here: rotate it.")
    return sealed.seal(checked_secret(given))


def _save(destination: Destination) -> None:
    destination.version += 1
    destination.save()
    publish_names(destination.project)


def publish_names(project: Project) -> None:
    """The SDKs are told which destinations a project has. In the transaction that changes that."""
    active = Destination.objects.filter(project=project, status=Destination.Status.ACTIVE).order_by("name")
    keep(project, "destinations", list(active.values_list("name", flat=True)))


def _follow(project: Project) -> None:
    """The log of applied events is written while somebody forwards it."""
    forwarded = Destination.objects.filter(project=project).exclude(kind=Destination.Kind.WEBHOOK)
    applied.follow(project.pk, wanted=forwarded.exists())


def wake() -> None:
    transaction.on_commit(lambda: publisher.wake(DELIVER))


def audit(destination: Destination, actor: Actor, action: str, **detail: object) -> None:
    record(project=destination.project, actor=actor, action=action, target=destination.public_id, detail=detail)
