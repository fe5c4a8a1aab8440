"""What came in during the last day or week: read from the tallies, never from the events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import connection

from ingestion.tallies import HOUR_MS
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
# By the bucket: its rows, less those of people who were merged into another with a row in it.
ACTIVE = """
select a.{column}, count(*) - coalesce((
    select sum(n - 1 + has_own)::bigint from (
        select count(*) as n, exists (
            select from {table} own where own.project_id = %(project)s and own.{column} = merged.{column}
                and own.profile_id = merged.merged_into)::int as has_own
        from (select l.{column}, p.merged_into from ingestion_profile p
              join {table} l on l.project_id = p.project_id and l.profile_id = p.id
              where p.project_id = %(project)s and p.merged_into is not null and l.{column} = a.{column}) as merged
        group by merged.{column}, merged.merged_into) as twice), 0)
from {table} a where a.project_id = %(project)s and a.{column} >= %(start)s group by a.{column}
"""
# Distinct rows first: counting distinct values would sort all of them.
EVERYBODY = """
select count(distinct coalesce(p.merged_into, a.profile_id))
from (select distinct profile_id from {table} where project_id = %(project)s and {column} >= %(start)s) as a
left join ingestion_profile p
    on p.project_id = %(project)s and p.id = a.profile_id and p.merged_into is not null
"""


class Window(msgspec.Struct, frozen=True):
    """step: ms of a bucket; buckets: how many, the current one included; of whom activity is kept in `table`."""

    step: int
    buckets: int
    table: str
    column: str


WINDOWS = {
    "24h": Window(HOUR_MS, 24, "ingestion_profilehour", "hour"),
    "7d": Window(MS_PER_DAY, 7, "ingestion_profileday", "day"),
}


def of_window(project_id: int, name: str) -> dict[str, object]:
    """The answer for WINDOWS[name]; every bucket is there, also where nothing happened."""
    window = WINDOWS[name]
    now = int(_rows(NOW, {})[0][0])
    start = now - now % window.step - (window.buckets - 1) * window.step
    asked = {"project": project_id, "start": start, "step": window.step, "most": MOST_TYPES}
    counts = {bucket: int(count) for bucket, count in _rows(COUNTS, asked)}
    place = {"table": window.table, "column": window.column}
    active = dict(_rows(ACTIVE.format(**place), asked))
    types = [{"event_type": kind, "count": int(count)} for kind, count in _rows(TYPES, asked)]
    return {
        "window": name,
        "total_events": sum(counts.values()),
        "unique_users": _rows(EVERYBODY.format(**place), asked)[0][0],
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
