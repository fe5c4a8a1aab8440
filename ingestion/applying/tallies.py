"""Statistics as events are applied: how many of each name in each hour, and who was active. No event is read for them.

By the instant of receipt: an event of last year that comes today is work of today.
"""

import msgspec

from ingestion.applying import activity
from ingestion.applying.activity import HOUR_MS
from ingestion.applying.cursors import Cursor
from ingestion.applying.outcomes import ALIAS, NAMELESS
from ingestion.applying.turns import Turn
from ingestion.applying.waiting import Waiting

MINUTE_MS = 60_000
MINUTES_AN_HOUR = HOUR_MS // MINUTE_MS

Counts = dict[tuple[int, int], dict[str, int]]

EVENTS = """
with minutes as (
    insert into ingestion_eventminute as m (project_id, minute, stored, duplicates, rejected)
    select %(project)s, r.minute, r.stored, r.duplicate, r.rejected
    from json_to_recordset(%(minutes)s) as r(minute bigint, stored bigint, duplicate bigint, rejected bigint)
    on conflict (project_id, minute) do update set stored = m.stored + excluded.stored,
        duplicates = m.duplicates + excluded.duplicates, rejected = m.rejected + excluded.rejected)
insert into ingestion_eventhour as e (project_id, hour, name_id, stored, duplicates, rejected)
select %(project)s, r.hour, r.name, r.stored, r.duplicate, r.rejected
from json_to_recordset(%(hours)s) as r(hour bigint, name integer, stored bigint, duplicate bigint, rejected bigint)
on conflict (project_id, hour, name_id) do update set stored = e.stored + excluded.stored,
    duplicates = e.duplicates + excluded.duplicates, rejected = e.rejected + excluded.rejected
"""


def record(cursor: Cursor, turn: Turn) -> None:
    """Count the outcomes, in the transaction that stores them: a few statements, however many there are."""
    if turn.counted:
        _count(cursor, turn)
    if fresh := _newly_active(turn):
        activity.note(cursor, turn.lane.project, fresh)


def _newly_active(turn: Turn) -> set[tuple[int, int]]:
    """The hours in which profiles are active that this process has not noted yet, so that most events write nothing."""
    fresh: set[tuple[int, int]] = set()
    hours = {batch.id: _minute(batch, turn.now) // MINUTES_AN_HOUR * HOUR_MS for batch in turn.batches}
    for outcome in turn.outcomes:
        person = outcome.person
        if person is not None and person.active_in != (hour := hours[outcome.batch.id]) and outcome.is_event:
            person.active_in = hour
            fresh.add((hour, person.id))
    return fresh


def _count(cursor: Cursor, turn: Turn) -> None:
    hours: Counts = {}
    minutes: Counts = {}
    of_batch = {batch.id: _minute(batch, turn.now) for batch in turn.batches}
    for (batch, name, what), n in turn.counted.items():
        if name == ALIAS and what == "stored":
            continue
        minute = of_batch[batch]
        hour = minute // MINUTES_AN_HOUR * HOUR_MS
        for counted, key in ((hours, (hour, max(name, NAMELESS))), (minutes, (minute * MINUTE_MS, 0))):
            counted.setdefault(key, {"stored": 0, "duplicate": 0, "rejected": 0})[what] += n
    by_hour = [{"hour": hour, "name": name, **tally} for (hour, name), tally in sorted(hours.items())]
    by_minute = [{"minute": minute, **tally} for (minute, _), tally in sorted(minutes.items())]
    cursor.execute(EVENTS, {"project": turn.lane.project, "hours": _json(by_hour), "minutes": _json(by_minute)})


def _minute(batch: Waiting, now: int) -> int:
    return min(batch.received_at, now) // MINUTE_MS


def _json(rows: object) -> str:
    return msgspec.json.encode(rows).decode()
