"""What moves the inbox along: `apply_some`, called by whoever was woken, and the daily and hourly upkeep."""

import time
from collections.abc import Mapping, Sequence

import psycopg
from celery import shared_task
from django.db import Error as DatabaseError
from prometheus_client import Counter, Histogram

from ingestion import retention
from ingestion.applying import readahead, waiting, writer
from ingestion.applying.cursors import BY_INDEX, Cursor, array, bulk_transaction
from ingestion.applying.turns import Lane
from ingestion.applying.waiting import Waiting
from persona.lib.log import get_logger, redact

log = get_logger(__name__)

# Every worker goes round by itself: after project 7 comes the next higher one that waits and is not locked.
LOCK = f"""
select l.project_id, p.shards, l.watched_until, l.people_version, l.judged,
    exists (select from ingestion_tombstone t where t.project_id = l.project_id), {BY_INDEX}
from ingestion_writerlane l join keys_project p on p.id = l.project_id
where l.project_id = any(%s::bigint[])
order by l.project_id <= %s, l.project_id
limit 1
for update of l skip locked
"""  # noqa: S608 - the column is a constant
# SQLSTATE classes that speak of the data: bad values, broken constraints, a row beyond a limit of PostgreSQL.
BLAMES_THE_DATA = frozenset({"22", "23", "54"})

EVENTS = Counter("persona_applied_events", "Events of applied batches, by what became of them.", ["outcome"])
PARKED = Counter("persona_parked_batches", "Batches that could not be applied and were set aside.")
SECONDS = Histogram(
    "persona_apply_seconds",
    "How long a turn took that applied batches, commit included.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_last_project = 0


def apply_some() -> int:
    """One turn: the oldest waiting batches of one project, in one transaction. How many left the inbox.

    0: nothing waits, or other workers hold every lane that does. Errors of the connection are the caller's;
    a batch that cannot be applied at all is parked, and counts as done.
    """
    while projects := waiting.projects():
        taken = _turn(projects)
        if taken is None:
            return 0
        if taken:
            return taken
        # Another worker emptied that inbox between our look and our lock: look again.
    return 0


def _turn(projects: Sequence[int]) -> int | None:
    lane: Lane | None = None
    batches: list[Waiting] = []
    found: dict[str, int] = {}
    started = time.monotonic()
    try:
        with bulk_transaction() as cursor:
            lane = _locked(cursor, projects)
            if lane is None:
                return None
            batches, read = readahead.take(lane.project)
            if batches:
                found = writer.apply(cursor, lane, batches, read)
    except Exception as error:
        if lane is None or not _is_the_batch(error):
            raise
        log.warning("turn.failed", project=lane.project, batches=len(batches), error=describe(error))
        return sum(_alone(lane.project, batch) for batch in batches)
    if batches:
        SECONDS.observe(time.monotonic() - started)
    _count(found)
    return len(batches)


def _count(found: Mapping[str, int]) -> None:
    """Of a turn that is committed."""
    for outcome, n in found.items():
        EVENTS.labels(outcome).inc(n)


def _alone(project: int, batch: Waiting) -> int:
    """Apply one batch of a turn that failed; park it when it fails alone too. 0: somebody else has the lane."""
    try:
        with bulk_transaction() as cursor:
            lane = _locked(cursor, [project])
            if lane is None:
                return 0
            found = writer.apply(cursor, lane, waiting.take_one(project, batch.id))
    except Exception as error:
        if not _is_the_batch(error):
            raise
        waiting.park(project, batch.id, describe(error))
        PARKED.inc()
        log.error("batch.parked", project=project, batch=batch.batch_id, error=describe(error))
        return 1
    _count(found)
    return 1


def _locked(cursor: Cursor, projects: Sequence[int]) -> Lane | None:
    global _last_project
    with cursor.together():  # with the BEGIN before it
        cursor.execute(LOCK, [array(projects), _last_project])
    row = cursor.fetchone()
    if row is None:
        return None
    _last_project = row[0]
    return Lane(*row[:-1])


def _is_the_batch(error: Exception) -> bool:
    """Whether a batch's content is to blame, rather than the database, the machine or the network."""
    if isinstance(error, DatabaseError):
        cause = error.__cause__
        state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
        return state is not None and state[:2] in BLAMES_THE_DATA
    return not isinstance(error, OSError | MemoryError | psycopg.Error)


def describe(error: Exception) -> str:
    """The error for a person: what kind, and the first line, without the row's values or any credential."""
    cause = error.__cause__
    if isinstance(cause, psycopg.Error):
        return redact(f"{type(cause).__name__}: {cause.diag.message_primary or ''}")
    return redact(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


@shared_task(name="ingestion.maintain", ignore_result=True)
def maintain() -> None:
    """Partitions ahead, lanes for all projects, and everything that has grown too old. Idempotent; run it hourly."""
    retention.keep_up()
