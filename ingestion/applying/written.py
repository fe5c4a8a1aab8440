"""What a turn writes by COPY: its events, and its dead letters."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ingestion.applying import arrivals
from ingestion.applying.arrivals import TRAITS_KIND
from ingestion.applying.cursors import Cursor, copy_rows
from ingestion.applying.outcomes import Outcome

EVENTS = """
copy ingestion_event (project_id, profile_id, name_id, ts, received_at, uid, props, context, tracked)
from stdin (format binary)
"""
DEAD = """
copy ingestion_deadletter (project_id, batch_id, index, dialect, code, detail, body, at, received_at, frame)
from stdin (format binary)
"""
DEAD_TYPES = ("int8", "text", "int4", "text", "text", "text", "bytea", "int8", "int8", "bytea")

# A row of ingestion_event in the format of COPY, each value after its length: up to the profile, after it up to props.
_BEGIN = struct.Struct("!hiq").pack
_PROFILE = struct.Struct("!iq").pack
_MIDDLE = struct.Struct("!iiiqiqi16siB").pack
_JSON = struct.Struct("!iB").pack
_NULL = struct.pack("!i", -1)
_TRUE = struct.pack("!i?", 1, True)
JSONB = 1  # the version that stands in front of a value


def packed(project: int, names: Mapping[str, int], outcomes: Iterable[Outcome]) -> Iterator[bytes]:
    """The events as rows for EVENTS. By hand: a fifth of what psycopg needs, which looks at the type of each value."""
    begin = _BEGIN(9, 8, project)
    return (_packed(begin, names, outcome) for outcome in outcomes if outcome.is_event)


def _packed(begin: bytes, names: Mapping[str, int], outcome: Outcome) -> bytes:
    person, arrival = outcome.person, outcome.arrival
    if arrival is None:
        return b""  # is_event says that there is one
    profile = _NULL if person is None else _PROFILE(8, person.id)
    props, context, number = arrival.props, arrival.context, names[arrival.event.name]
    middle = _MIDDLE(4, number, 8, arrival.ts, 8, arrival.received_at, 16, arrival.uid, len(props) + 1, JSONB)
    tracked = _TRUE if arrival.event.name == TRAITS_KIND and arrival.event.traits is None else _NULL
    if context is None:
        return b"".join((begin, profile, middle, props, _NULL, tracked))
    return b"".join((begin, profile, middle, props, _JSON(len(context) + 1, JSONB), context, tracked))


def copy_dead_letters(cursor: Cursor, project: int, outcomes: Sequence[Outcome], now: int) -> None:
    """now: ms, the database's clock."""
    refused = [outcome.refused for outcome in outcomes if outcome.refused is not None]
    frames = arrivals.frames(refused)
    rows = [
        (
            project,
            one.batch.batch_id,
            one.rejection.index,
            one.batch.dialect,
            one.rejection.code,
            _detail(one.rejection.field, one.rejection.detail),
            one.rejection.body,
            now,
            min(one.batch.received_at, now),
            frames[one.batch.id],
        )
        for one in arrivals.with_bodies(refused)
    ]
    if rows:
        copy_rows(cursor, DEAD, DEAD_TYPES, rows)


def _detail(field: str, detail: str) -> str:
    return (f"{field}: {detail}" if field else detail).replace("\x00", "")
