"""Which destinations have something to do, whose turn it is, and what waits for each. All clocks are the database's."""

import msgspec
from django.db import connection

from delivery.models import Attempt
from delivery.sending import schedule

NOW = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
LEASE_MS = 60_000  # longer than a wave can last; after it another worker may take over
WAVE = 100  # deliveries of one wave
PARKED_MOST = 10_000  # deliveries that wait at one destination; beyond it the rest waits in the log

# Those whose receivers work come first; of these, whoever was served longest ago: the end of a lease is in the past and
# says when that was.
DUE = """
select d.project_id, d.id, c.failures >= %s as failing from delivery_destination d
join delivery_cursor c on c.project_id = d.project_id and c.destination_id = d.id,
    (select floor(extract(epoch from statement_timestamp()) * 1000)::bigint as now) clock
where d.status = 'active' and c.leased_until <= clock.now and c.resting_until <= clock.now and not d.id = any(%s)
  and (exists (select from delivery_attempt a where a.project_id = d.project_id and a.destination_id = d.id
                   and a.status = 'waiting' and a.next_at <= clock.now)
       or c.seq < case when d.kind = 'webhook'
           then (select h.last_seq from segments_head h where h.project_id = d.project_id)
           else (select l.applied_seq from ingestion_writerlane l where l.project_id = d.project_id) end)
order by failing, c.leased_until, d.id limit %s
"""
CLAIM = """
update delivery_cursor c set leased_until = clock.now + %(lease)s
from (select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now) clock
where c.project_id = %(project)s and c.destination_id = %(destination)s and c.leased_until <= clock.now
returning clock.now, c.seq, c.failures
"""
RELEASE = """
update delivery_cursor set leased_until = floor(extract(epoch from clock_timestamp()) * 1000)::bigint
where project_id = %s and destination_id = %s
"""
# In the order of the index. What waits of a profile has one next_at, so that a limit never tears its order.
WAITING = """
select id, kind, seq, profile_id, body, tried, first_tried_at from delivery_attempt
where project_id = %s and destination_id = %s and status = 'waiting' and next_at <= %s
order by next_at, seq, id limit %s
"""
PARKED = """
select count(*) from (select from delivery_attempt
    where project_id = %s and destination_id = %s and status = 'waiting' limit %s) waiting
"""


class Due(msgspec.Struct, frozen=True):
    """A destination with something to do. failing: its receiver did not work lately."""

    project: int
    destination: int
    failing: bool


class Claim(msgspec.Struct, frozen=True):
    """A destination that is ours until its lease ends. now: ms; seq: its cursor; failures: of its receiver in a row."""

    now: int
    seq: int
    failures: int


class Waiting(msgspec.Struct, frozen=True):
    """A delivery that is due."""

    id: int
    kind: str
    seq: int
    profile_id: int | None
    body: str
    tried: int
    first_tried_at: int | None

    @property
    def is_events(self) -> bool:
        return self.kind == Attempt.Kind.EVENTS


def due(*, busy: list[int], limit: int) -> list[Due]:
    """Those with something to do, except the destinations in `busy`."""
    with connection.cursor() as cursor:
        cursor.execute(DUE, [schedule.FAILURES_TO_REST, busy, limit])
        return [Due(*row) for row in cursor.fetchall()]


def claim(project: int, destination: int) -> Claim | None:
    """None: another worker has it."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"project": project, "destination": destination, "lease": LEASE_MS})
        row = cursor.fetchone()
    return None if row is None else Claim(*row)


def release(project: int, destination: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, [project, destination])


def waiting(project: int, destination: int, now: int, *, limit: int = WAVE) -> list[Waiting]:
    """What is due by then."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [project, destination, now, limit])
        return [Waiting(*row) for row in cursor.fetchall()]


def room(project: int, destination: int) -> int:
    """How many more deliveries may wait here."""
    with connection.cursor() as cursor:
        cursor.execute(PARKED, [project, destination, PARKED_MOST])
        (parked,) = cursor.fetchone()
    return PARKED_MOST - int(parked)


def clock() -> int:
    """The database's clock, ms."""
    with connection.cursor() as cursor:
        cursor.execute(NOW)
        return int(cursor.fetchone()[0])
