"""Which destinations have something to do, whose turn it is, and what waits for each. All clocks are the database's."""

from collections.abc import Iterable

import msgspec
from django.db import connection

from delivery.models import Attempt
from delivery.sending import schedule

NOW = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
LEASE_MS = 10_000  # after which another worker may take over; whose wave lasts longer renews it
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
returning clock.now, c.seq, c.failures, c.leased_until
"""
RENEW = """
update delivery_cursor c set leased_until = clock.now + %(lease)s
from json_to_recordset(%(rows)s) as r(project bigint, destination bigint, until bigint),
    (select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now) clock
where c.project_id = r.project and c.destination_id = r.destination and c.leased_until = r.until
returning c.destination_id, c.leased_until
"""
RELEASE = """
update delivery_cursor set leased_until = floor(extract(epoch from clock_timestamp()) * 1000)::bigint
where project_id = %(project)s and destination_id = %(destination)s and leased_until = %(until)s
"""
STANDS_AT = "select seq from delivery_cursor where project_id = %s and destination_id = %s for update"
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
    """A destination that is ours until its lease ends. now, until: ms; seq: its cursor; failures: of its receiver in a
    row."""

    project: int
    destination: int
    now: int
    seq: int
    failures: int
    until: int


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
    return None if row is None else Claim(project, destination, *row)


def renew(claims: Iterable[Claim]) -> dict[int, int]:
    """By destination: until when it is ours now. Those that another worker has taken over are missing."""
    rows = msgspec.json.encode(
        [{"project": one.project, "destination": one.destination, "until": one.until} for one in claims]
    )
    with connection.cursor() as cursor:
        cursor.execute(RENEW, {"rows": rows.decode(), "lease": LEASE_MS})
        return dict(cursor.fetchall())


def release(claim: Claim) -> bool:
    """Whether it was still ours."""
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, {"project": claim.project, "destination": claim.destination, "until": claim.until})
        return bool(cursor.rowcount)


def stands_at(project: int, destination: int, seq: int) -> bool:
    """Whether the cursor is still at `seq`, where it stays until the transaction ends: another worker may have taken
    the destination over from one that was suspended."""
    with connection.cursor() as cursor:
        cursor.execute(STANDS_AT, [project, destination])
        return bool(cursor.fetchone() == (seq,))


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
