"""The log of what was applied: one row per apply transaction, numbered without gaps, while somebody looks.

Readers keep a position and ask for what comes after it. A reader says with `watch` that the log is wanted.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from django.db import connection

from ingestion.arrivals import Arrival
from ingestion.cursors import Cursor
from ingestion.models import Applied
from ingestion.outcomes import Outcome

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
