"""What came in during the last day or week: read from the tallies, never from the events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import connection

from ingestion.applying.activity import HOUR_MS
from persona.lib.clock import MS_PER_DAY

MOST_TYPES = 100  # of event types in an answer, the most frequent first

NOW = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
COUNTS = """
select hour - hour %% %(step)s, sum(stored) from ingestion_eventhour
where project_id = %(project)s and hour >= %(start)s and stored > 0 group by 1
"""
TYPES = """
select n.name, sum(h.stored) from ingestion_eventhour h
join ingestion_eventname n on n.project_id = h.project_id and n.id = h.name_id
where h.project_id = %(project)s and h.hour >= %(start)s and h.stored > 0
group by 1 order by 2 desc, 1 limit %(most)s
"""
ACTIVE = """
select hour - hour %% %(step)s, sum(active), sum(first_of_day) from ingestion_activehour
where project_id = %(project)s and hour >= %(start)s group by 1
"""
# Everybody is counted in the latest hour they were active in: whoever was here since `start` has it since then.
EVERYBODY = """
select coalesce(sum(newest), 0)::bigint from ingestion_activehour where project_id = %(project)s and hour >= %(start)s
"""


class Window(msgspec.Struct, frozen=True):
    """step: ms of a bucket, an hour or a day; buckets: how many, the current one included."""

    step: int
    buckets: int


WINDOWS = {"24h": Window(HOUR_MS, 24), "7d": Window(MS_PER_DAY, 7)}


def of_window(project_id: int, name: str) -> dict[str, object]:
    """The answer for WINDOWS[name]; every bucket is there, also where nothing happened."""
    window = WINDOWS[name]
    now = int(_rows(NOW, {})[0][0])
    start = now - now % window.step - (window.buckets - 1) * window.step
    asked = {"project": project_id, "start": start, "step": window.step, "most": MOST_TYPES}
    counts = {bucket: int(count) for bucket, count in _rows(COUNTS, asked)}
    active = {bucket: int(hour if window.step == HOUR_MS else day) for bucket, hour, day in _rows(ACTIVE, asked)}
    types = [{"event_type": kind, "count": int(count)} for kind, count in _rows(TYPES, asked)]
    return {
        "window": name,
        "total_events": sum(counts.values()),
        "unique_users": _rows(EVERYBODY, asked)[0][0],
        "timeseries": list(_series(range(start, now + 1, window.step), counts, active)),
        "event_types": types,
    }


def _series(
    buckets: Iterable[int], counts: Mapping[int, int], active: Mapping[int, int]
) -> Iterable[dict[str, object]]:
    for bucket in buckets:
        at = datetime.fromtimestamp(bucket // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield {"bucket": at, "event_count": counts.get(bucket, 0), "unique_users": active.get(bucket, 0)}


def _rows(statement: str, asked: Mapping[str, int]) -> Sequence[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {**asked})
        return list(cursor.fetchall())
