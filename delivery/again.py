"""Send again what was delivered, or given up: one delivery, or a range of the change log. Audited."""

from django.db import connection, transaction

from delivery.models import Attempt, Cursor, Destination
from delivery.sending import intake, queue
from delivery.services import audit, locked, wake
from keys.audit import Actor, record
from keys.models import Project
from persona.lib.problems import Problem
from segments import log

RANGE_MOST = 10_000  # rows of the log at once

AGAIN = """
update delivery_attempt set status = 'waiting', next_at = %(now)s, settled_at = null, tried = 0, first_tried_at = null
where project_id = %(project)s and destination_id = %(destination)s and kind = 'change'
  and seq between %(first)s and %(last)s
"""
AGAIN_ONE = """
update delivery_attempt set status = 'waiting', next_at = %s, settled_at = null, tried = 0, first_tried_at = null
where project_id = %s and id = %s and status <> 'waiting' and body <> '[]'
"""


@transaction.atomic
def redeliver_range(*, destination: Destination, first: int, last: int, actor: Actor) -> int:
    """Send the changes with those numbers again, delivered or not; how many are going to be."""
    if destination.forwards:
        raise Problem(409, "destination.no_range", "Only changes have numbers; send single deliveries again.")
    if not 0 < first <= last or last - first >= RANGE_MOST:
        raise Problem(400, "delivery.range_invalid", f"From first to last, at most {RANGE_MOST} numbers.")
    found = locked(destination)
    now = queue.clock()
    scope = {"project": found.project_id, "destination": found.pk, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(AGAIN, {**scope, "first": first, "last": last})
        count = int(cursor.rowcount)
    cursor_now = Cursor.objects.get(project=found.project, destination_id=found.pk).seq
    rows = log.after(found.project_id, first - 1, None, last - first + 1)
    rows = [row for row in rows if row.seq <= min(last, cursor_now) and intake.wants(found, row)]
    count += intake.insert(found, rows, now, again=True)
    audit(found, actor, "destination.redelivered", first=first, last=last, deliveries=count)
    wake()
    return count


@transaction.atomic
def redeliver_one(*, project: Project, attempt: Attempt, actor: Actor) -> None:
    """Send one delivery again. 409 delivery.waiting: it is going to be sent anyway, or nothing is left of it."""
    with connection.cursor() as cursor:
        cursor.execute(AGAIN_ONE, [queue.clock(), project.pk, attempt.pk])
        if not cursor.rowcount:
            raise Problem(409, "delivery.waiting", "This delivery waits to be sent anyway, or nothing is left to send.")
    record(project=project, actor=actor, action="delivery.redelivered", target=str(attempt.pk))
    wake()
