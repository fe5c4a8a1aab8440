"""Keeping up: partitions ahead, and nothing kept longer than it can count."""

from django.conf import settings
from django.db import connection

from ingestion import partitions
from ingestion.applying.lanes import make_lanes
from ingestion.log import FOREVER
from keys import uses
from keys.models import Project
from persona.lib.clock import MS_PER_DAY
from persona.lib.log import get_logger

log = get_logger(__name__)

HOUR_MS = 3_600_000
APPLIED_BATCH_DAYS = 7  # how long the fate of a batch can be asked for, and a late second copy is noticed whole
APPLIED_HOURS = 1
DEDUPE_HOUR = 3  # of the day, UTC
MINUTES_DAYS = 1  # of what came in, by the minute
FOLLOWED_DAYS = 7  # the same, where somebody forwards the events: how far a destination may fall behind

NOW = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
OLD_BATCHES = "delete from ingestion_appliedbatch where at < %s"
OLD_LETTERS = "delete from ingestion_deadletter where at < %s"
OLD_APPLIED = """
delete from ingestion_applied a where a.at < %(viewed)s and (a.at < %(followed)s or not exists (
    select from ingestion_writerlane l where l.project_id = a.project_id and l.watched_until = %(forever)s))
"""
# By project, because the keys of these tables begin with it.
OLD_HOURS = "delete from ingestion_eventhour h using keys_project p where h.project_id = p.id and h.hour < %s"
OLD_ACTIVE = "delete from ingestion_activehour h using keys_project p where h.project_id = p.id and h.hour < %s"
OLD_MINUTES = "delete from ingestion_eventminute m using keys_project p where m.project_id = p.id and m.minute < %s"
OLD_KEYS = "delete from ingestion_dedupekey where received_at < %s"
OLD_REST = "delete from ingestion_event_rest where received_at < %s"


def keep_up() -> None:
    """One round of upkeep. Idempotent."""
    partitions.ensure()
    make_lanes()
    now = _now()
    _delete(OLD_BATCHES, now - APPLIED_BATCH_DAYS * MS_PER_DAY)
    _delete(OLD_LETTERS, now - int(settings.PERSONA_DEAD_LETTER_DAYS) * MS_PER_DAY)
    forget_applied(now)
    _delete(OLD_MINUTES, now - MINUTES_DAYS * MS_PER_DAY)
    for tallies in (OLD_HOURS, OLD_ACTIVE):
        _delete(tallies, now - longest_retention() * MS_PER_DAY)
    uses.prune(now)
    forget_keys(now)
    drop_expired(now - longest_retention() * MS_PER_DAY)


def forget_applied(now: int) -> int:
    """Drop what is too old of the log of what was applied; the rows dropped."""
    ages = {"viewed": now - APPLIED_HOURS * HOUR_MS, "followed": now - FOLLOWED_DAYS * MS_PER_DAY}
    with connection.cursor() as cursor:
        cursor.execute(OLD_APPLIED, {**ages, "forever": FOREVER})
        return int(cursor.rowcount)


def forget_keys(now: int) -> None:
    """Forget which events are known, of before the horizon if there is one. Once a day: it reads them all."""
    days = int(settings.PERSONA_DEDUPE_DAYS)
    if days and now // HOUR_MS % 24 == DEDUPE_HOUR:
        _delete(OLD_KEYS, now - days * MS_PER_DAY)


def drop_expired(before: int) -> list[str]:
    """Drop the months that ended before `before` (ms), and forget the uids of that time. The dropped partitions."""
    names = partitions.expired(before)
    if names:
        # Reading all dedupe keys is dear, so it is done once a month, and before the month that calls for it is gone:
        # when it fails, the next round does it again.
        _delete(OLD_KEYS, before)
        _delete(OLD_REST, before)
    for name in names:
        partitions.drop(name)
    return names


def longest_retention() -> int:
    """Days; of all projects."""
    default = int(settings.PERSONA_RETENTION_DAYS)
    return max([default, *(project.options.retention_days or 0 for project in Project.objects.all())])


def _now() -> int:
    with connection.cursor() as cursor:
        cursor.execute(NOW)
        return int(cursor.fetchone()[0])


def _delete(statement: str, before: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [before])
        if cursor.rowcount:
            log.info("retention.deleted", table=statement.split()[2], rows=cursor.rowcount)
