"""Statistics as events are applied: how many of each name in each hour, and who was active. No event is read for them.

By the instant of receipt: an event of last year that comes today is work of today.
"""

from collections.abc import Iterable, Mapping

import msgspec

from ingestion.cursors import Cursor
from ingestion.outcomes import Outcome
from persona.lib.clock import MS_PER_DAY

HOUR_MS = 3_600_000
NAMELESS = 0

EVENTS = """
insert into ingestion_eventhour as e (project_id, hour, name_id, stored, duplicates, rejected)
select %s, r.hour, r.name, r.stored, r.duplicate, r.rejected
from json_to_recordset(%s) as r(hour bigint, name integer, stored bigint, duplicate bigint, rejected bigint)
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
    counted: dict[tuple[int, int], dict[str, int]] = {}
    active: set[tuple[int, int]] = set()
    for outcome in outcomes:
        hour = _hour(outcome, now)
        if outcome.is_event and outcome.person is not None:
            active.add((hour, outcome.person.id))
        if outcome.is_event or outcome.what != "stored":
            tally = counted.setdefault((hour, _name(outcome, names)), {"stored": 0, "duplicate": 0, "rejected": 0})
            tally[outcome.what] += 1
    if counted:
        rows = [{"hour": hour, "name": name, **tally} for (hour, name), tally in sorted(counted.items())]
        cursor.execute(EVENTS, [project, msgspec.json.encode(rows).decode()])
    if active:
        hours, profiles = zip(*sorted(active), strict=True)
        given = {"hours": _array(hours), "profiles": _array(profiles), "project": project, "day": MS_PER_DAY}
        cursor.execute(PROFILES, given)


def _hour(outcome: Outcome, now: int) -> int:
    received_at = min(outcome.batch.received_at, now)
    return received_at - received_at % HOUR_MS


def _name(outcome: Outcome, names: Mapping[str, int]) -> int:
    return NAMELESS if outcome.arrival is None else names.get(outcome.arrival.event.name, NAMELESS)


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"
