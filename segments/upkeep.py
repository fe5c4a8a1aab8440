"""Upkeep: the oldest rows of the change log go, in order, so that what is kept stays gap-free.

Warnings and tickets that nobody can use any more go, and rules follow the settings of the installation.
"""

from django.conf import settings
from django.db import connection

from keys.models import Project
from persona.lib.clock import MS_PER_DAY, MS_PER_HOUR
from persona.lib.log import get_logger
from segments import cursors, rejudging, warnings

ROWS = 20_000  # a statement: short locks, little WAL at once

# The first row that is young enough ends it, so that a row with an older `at` behind it never tears a hole.
PRUNE = """
delete from segments_change where project_id = %(project)s and seq in (
    select seq from segments_change
    where project_id = %(project)s and seq < coalesce((
        select young.seq from segments_change young
        where young.project_id = %(project)s and young.at >= %(cutoff)s order by young.seq limit 1), %(end)s)
    order by seq limit %(rows)s)
"""
END = 1 << 62
HOURS_DAYS = 35
# By project, because the key of the table begins with it.
OLD_HOURS = """
delete from segments_personahour h using keys_project p
where h.project_id = p.id and h.hour > 0 and h.hour < %(before)s
"""
# A ticket opens no new stream a minute after its last use. An open stream says every few seconds that it uses its own;
# a process that was held up for some minutes must still find it.
TICKETS = "delete from segments_streamticket where project_id = %s and seen_at < %s"
UNUSED = MS_PER_HOUR

log = get_logger(__name__)


def prune_log() -> int:
    """Drop changes older than PERSONA_CHANGE_RETENTION_DAYS, in every project; the rows dropped."""
    return sum(_prune(project_id) for project_id in Project.objects.values_list("id", flat=True))


def follow_retentions() -> int:
    """Judge by PERSONA_RETENTION_DAYS as it is now, in every project that has none of its own; the personas."""
    return sum(rejudging.follow_retention(project) for project in Project.objects.order_by("id"))


def forget_warnings() -> None:
    """Warnings on personas that have not been seen again for long."""
    with cursors.raw_cursor() as cursor:
        now = cursors.clock(cursor)
    for project_id in Project.objects.values_list("id", flat=True):
        warnings.forget_old(project_id, now)


def drop_tickets() -> int:
    """Tickets of streams that have not been in use for so long that they open none any more; how many."""
    dropped = 0
    with cursors.raw_cursor() as cursor:
        oldest = cursors.clock(cursor) - UNUSED
        for project_id in Project.objects.values_list("id", flat=True):
            cursor.execute(TICKETS, (project_id, oldest))
            dropped += cursor.rowcount
    return dropped


def forget_hours() -> None:
    """Enters and leaves by the hour that no page looks at any more; the sums of all time (hour 0) stay."""
    with cursors.raw_cursor() as cursor:
        cursor.execute(OLD_HOURS, {"before": cursors.clock(cursor) - HOURS_DAYS * MS_PER_DAY})


def _prune(project_id: int) -> int:
    dropped = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute("select floor(extract(epoch from clock_timestamp()) * 1000)::bigint")
            (now,) = cursor.fetchone()
            cutoff = now - settings.PERSONA_CHANGE_RETENTION_DAYS * MS_PER_DAY
            cursor.execute(PRUNE, {"project": project_id, "cutoff": cutoff, "end": END, "rows": ROWS})
            gone = int(cursor.rowcount)
            dropped += gone
            if gone < ROWS:
                break
    if dropped:
        log.info("log.pruned", project=project_id, rows=dropped)
    return dropped
