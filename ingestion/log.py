"""The log of what was applied: one row per apply transaction, numbered without gaps, while somebody looks.

Readers keep a position and ask for what comes after it. A reader says with `watch` that the log is wanted.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from django.db import connection

from ingestion.applying.arrivals import Arrival
from ingestion.applying.cursors import Cursor
from ingestion.applying.outcomes import Outcome
from ingestion.models import Applied

PROPS_BYTES = 1_024  # of an event's properties that are shown

RECORD = """
with numbered as (
    update ingestion_writerlane set applied_seq = applied_seq + 1 where project_id = %(project)s returning applied_seq
)
insert into ingestion_applied (project_id, seq, at, events)
select %(project)s, applied_seq, %(now)s, %(events)s::jsonb from numbered
"""
# A plain SET: while a turn holds the lane's lock this waits for its end, a few milliseconds.
WATCH = """
update ingestion_writerlane
set watched_until = greatest(watched_until, %(now)s + %(ms)s)
where project_id = %(project)s
"""


FOREVER = 1 << 62  # in `watched_until`: somebody forwards the events, and no row may be missing
FOLLOW = "update ingestion_writerlane set watched_until = %(until)s where project_id = %(project)s"
HEAD = "select applied_seq from ingestion_writerlane where project_id = %s"

# By name and instant, through the index of backfills; received_at narrows it to one partition.
STORED = """
select encode(e.uid, 'hex'), e.profile_id, e.props::text
from json_to_recordset(%(events)s) as r(id text, name text, ts bigint, received_at bigint)
join ingestion_eventname n on n.project_id = %(project)s and n.name = r.name
join ingestion_event e on e.project_id = %(project)s and e.name_id = n.id and e.ts = r.ts
    and e.received_at = r.received_at and e.uid = decode(r.id, 'hex')
"""


class AppliedEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event as the live page shows it: ids, instants (ms), what became of it, and its first properties."""

    outcome: str
    batch: str
    index: int
    dialect: str
    received_at: int
    id: str = ""
    name: str = ""
    ts: int | None = None
    profile: str | None = None
    external_id: str | None = None
    code: str | None = None
    detail: str | None = None
    clamped: bool = False
    props: msgspec.Raw = msgspec.Raw(b"{}")


class AppliedRow(msgspec.Struct, frozen=True):
    """One apply transaction."""

    seq: int
    at: int
    events: list[dict[str, Any]]


def record(cursor: Cursor, project: int, outcomes: Iterable[Outcome], now: int) -> None:
    """Append the events of one turn. Called by the writer, under the lane's lock."""
    events = msgspec.json.encode([_entry(outcome) for outcome in outcomes]).decode()
    cursor.execute(RECORD, {"project": project, "now": now, "events": events})


def after(project: int, seq: int, limit: int = 100) -> list[AppliedRow]:
    """The rows with a number above `seq`, oldest first."""
    rows = Applied.objects.filter(project_id=project, seq__gt=seq).order_by("seq")[:limit]
    return [AppliedRow(row.seq, row.at, row.events) for row in rows]


def watch(project: int, *, now: int, seconds: int = 60) -> None:
    """Keep the log written until `seconds` after `now` (ms, the database's clock)."""
    with connection.cursor() as cursor:
        cursor.execute(WATCH, {"project": project, "now": now, "ms": seconds * 1_000})


def follow(project: int, *, wanted: bool) -> None:
    """Write the log for whoever forwards it, until told otherwise."""
    with connection.cursor() as cursor:
        cursor.execute(FOLLOW, {"project": project, "until": FOREVER if wanted else 0})


def head(project: int) -> int:
    """The number of the newest row, 0 if there was none yet."""
    with connection.cursor() as cursor:
        cursor.execute(HEAD, [project])
        row = cursor.fetchone()
    return row[0] if row else 0


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as it is stored: whose it is now, and all its properties as JSON."""

    profile_id: int | None
    props: bytes


def stored(project: int, refs: Iterable[dict[str, Any]]) -> dict[str, StoredEvent]:
    """By id: the stored events among `refs` (each with id, name, ts, received_at). What was erased is not there."""
    events = msgspec.json.encode(list(refs)).decode()
    with connection.cursor() as cursor:
        cursor.execute(STORED, {"project": project, "events": events})
        return {uid: StoredEvent(profile, props.encode()) for uid, profile, props in cursor.fetchall()}


def _entry(outcome: Outcome) -> AppliedEvent:
    rejection = None if outcome.refused is None else outcome.refused.rejection
    entry = AppliedEvent(
        outcome=outcome.what,
        batch=outcome.batch.batch_id,
        dialect=outcome.batch.dialect,
        received_at=outcome.batch.received_at,
        index=0 if rejection is None else rejection.index,
        code=None if rejection is None else rejection.code,
        detail=None if rejection is None else rejection.detail.replace("\x00", ""),
        profile=None if outcome.person is None else outcome.person.public_id,
    )
    return entry if outcome.arrival is None else _with_event(entry, outcome.arrival)


def _with_event(entry: AppliedEvent, arrival: Arrival) -> AppliedEvent:
    event = arrival.event
    return msgspec.structs.replace(
        entry,
        id=arrival.uid.hex(),
        index=event.index,
        name=event.name,
        ts=arrival.ts,
        received_at=arrival.received_at,
        external_id=event.user_id or event.anonymous_id or event.session_id,
        clamped=arrival.clamped,
        props=_trimmed(arrival.props),
    )


def _trimmed(props: bytes) -> msgspec.Raw:
    """The first properties, as many as fit in PROPS_BYTES."""
    if len(props) <= PROPS_BYTES:
        return msgspec.Raw(props)
    kept: dict[str, msgspec.Raw] = {}
    room = PROPS_BYTES
    for key, value in msgspec.json.decode(props, type=dict[str, msgspec.Raw]).items():
        room -= len(key.encode()) + len(bytes(value)) + 4
        if room < 0:
            break
        kept[key] = value
    return msgspec.Raw(msgspec.json.encode(kept))
