"""Statistics as events are applied: how many of each name in each hour, and who was active. No event is read for them.

By the instant of receipt: an event of last year that comes today is work of today.
"""

from collections.abc import Iterable, Mapping

import msgspec

from ingestion.cursors import Cursor
from ingestion.outcomes import Outcome
from persona.lib.clock import MS_PER_DAY

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
NAMELESS = 0

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
PROFILES = """
with seen as (select hour, profile_id from unnest(%(hours)s::bigint[], %(profiles)s::bigint[]) as s(hour, profile_id)),
hours as (
    insert into ingestion_profilehour (project_id, hour, profile_id)
    select %(project)s, hour, profile_id from seen on conflict do nothing)
insert into ingestion_profileday (project_id, day, profile_id)
select distinct %(project)s::bigint, hour - hour %% %(day)s, profile_id from seen on conflict do nothing
"""


def record(cursor: Cursor, project: int, outcomes: Iterable[Outcome], names: Mapping[str, int], now: int) -> None:
    """Count `outcomes`, in the transaction that stores them: two statements, however many there are."""
    hours: Counts = {}
    minutes: Counts = {}
    active: set[tuple[int, int]] = set()
    for outcome in outcomes:
        at = min(outcome.batch.received_at, now)
        hour = at - at % HOUR_MS
        if outcome.is_event and outcome.person is not None:
            active.add((hour, outcome.person.id))
        if outcome.is_event or outcome.what != "stored":
            for counted, key in ((hours, (hour, _name(outcome, names))), (minutes, (at - at % MINUTE_MS, 0))):
                counted.setdefault(key, {"stored": 0, "duplicate": 0, "rejected": 0})[outcome.what] += 1
    if hours:
        by_hour = [{"hour": hour, "name": name, **tally} for (hour, name), tally in sorted(hours.items())]
        by_minute = [{"minute": minute, **tally} for (minute, _), tally in sorted(minutes.items())]
        cursor.execute(EVENTS, {"project": project, "hours": _json(by_hour), "minutes": _json(by_minute)})
    if active:
        when, profiles = zip(*sorted(active), strict=True)
        given = {"hours": _array(when), "profiles": _array(profiles), "project": project, "day": MS_PER_DAY}
        cursor.execute(PROFILES, given)


def _name(outcome: Outcome, names: Mapping[str, int]) -> int:
    return NAMELESS if outcome.arrival is None else names.get(outcome.arrival.event.name, NAMELESS)


def _json(rows: object) -> str:
    return msgspec.json.encode(rows).decode()


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"
