"""Deliveries that are over are shown for a while; then their rows go. Those that wait stay as long as they wait."""

from django.conf import settings
from django.db import connection

from delivery.sending import queue
from keys.api import idempotency
from keys.models import Project
from persona.lib.clock import MS_PER_DAY
from persona.lib.log import get_logger

ROWS = 10_000  # a statement
END = 1 << 62
DEAD_DAYS = 30  # dead letters are kept for longer: somebody has to see them

# Along the primary key, up to the first row that is young enough; what waits, and dead letters, are stepped over.
PRUNE = """
delete from delivery_attempt where project_id = %(project)s and id in (
    select id from delivery_attempt
    where project_id = %(project)s and id > %(after)s and created_at < %(cutoff)s
      and id < coalesce((select young.id from delivery_attempt young
          where young.project_id = %(project)s and young.created_at >= %(cutoff)s order by young.id limit 1), %(end)s)
      and (status = 'delivered' or status = 'dead' and created_at < %(dead)s)
    order by id limit %(rows)s)
returning id
"""

log = get_logger(__name__)


def keep_up() -> int:
    """One round for all projects; the deliveries dropped. What was kept of repeated requests goes too."""
    idempotency.forget_old()
    now = queue.clock()
    return sum(_prune(project, now) for project in Project.objects.order_by("id").values_list("id", flat=True))


def _prune(project: int, now: int) -> int:
    values = {
        "project": project,
        "cutoff": now - settings.PERSONA_DELIVERY_DAYS * MS_PER_DAY,
        "dead": now - max(settings.PERSONA_DELIVERY_DAYS, DEAD_DAYS) * MS_PER_DAY,
        "rows": ROWS,
        "end": END,
    }
    dropped = after = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(PRUNE, {**values, "after": after})
            gone = [number for (number,) in cursor.fetchall()]
        dropped += len(gone)
        if len(gone) < ROWS:
            break
        after = max(gone)
    if dropped:
        log.info("deliveries.pruned", project=project, rows=dropped)
    return dropped
