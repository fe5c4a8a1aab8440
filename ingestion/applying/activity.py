"""Who was active, by the hour and the day of receipt, and how many: counted as events are applied, exactly.

Of each profile two sets of bits are kept: the hours and the UTC days in which something of it was received, counted
back from its latest. Whoever is new in an hour, new on a day, or has a later latest hour than before moves a counter of
that hour. So "how many in the last week" is a sum over 168 numbers: everybody's latest hour is exactly one of them.
"""

from collections.abc import Collection, Iterable

import msgspec

from ingestion.applying.cursors import Cursor, array
from ingestion.applying.identity import Person, survivor

HOUR_MS = 3_600_000

COUNT = """
insert into ingestion_activehour as c (project_id, hour, active, first_of_day, newest)
select %(project)s, hour * 3600000, sum(active), sum(first_of_day), sum(newest) from moved
group by hour having (sum(active), sum(first_of_day), sum(newest)) <> (0, 0, 0)
on conflict (project_id, hour) do update set active = c.active + excluded.active,
    first_of_day = c.first_of_day + excluded.first_of_day, newest = c.newest + excluded.newest
"""
# One search of the index for each profile: planned as a join while the table is small, all of it is read in every turn.
# Beyond its 64 bits a set knows nothing: whoever is applied that late is not counted in an hour nobody asks for.
NOTE = f"""
with seen as (select profile_id from unnest(%(profiles)s::bigint[]) as s(profile_id)),
known as (
    select a.hour, a.hour - %(hour)s as late, a.hour / 24 - %(hour)s / 24 as days_late, a.hours, a.days
    from seen left join lateral (
        select * from ingestion_profileactive one
        where one.project_id = %(project)s and one.profile_id = seen.profile_id limit 1) a on true),
noted as (
    insert into ingestion_profileactive as a (project_id, profile_id, hour, hours, days)
    select %(project)s, profile_id, %(hour)s, 1, 1 from seen
    on conflict (project_id, profile_id) do update set
        hour = greatest(a.hour, excluded.hour),
        hours = case
            when excluded.hour - a.hour > 63 then 1
            when a.hour - excluded.hour > 63 then a.hours
            when excluded.hour >= a.hour then (a.hours << (excluded.hour - a.hour)::integer) | 1
            else a.hours | (1::bigint << (a.hour - excluded.hour)::integer) end,
        days = case
            when excluded.hour / 24 - a.hour / 24 > 63 then 1
            when a.hour / 24 - excluded.hour / 24 > 63 then a.days
            when excluded.hour >= a.hour then (a.days << (excluded.hour / 24 - a.hour / 24)::integer) | 1
            else a.days | (1::bigint << (a.hour / 24 - excluded.hour / 24)::integer) end),
moved as (
    select %(hour)s as hour,
        (hour is null or late < 0 or late <= 63 and (hours >> late::integer) & 1 = 0)::integer as active,
        (hour is null or days_late < 0 or days_late <= 63 and (days >> days_late::integer) & 1 = 0)::integer
            as first_of_day,
        (hour is null or late < 0)::integer as newest
    from known
    union all
    select hour, 0, 0, -1 from known where late < 0)
{COUNT}
"""  # noqa: S608 - of constants
# Who became one person was active when either was, and is counted once where both were.
MERGE = f"""
with pair as (select * from json_to_recordset(%(pairs)s) as p(loser bigint, winner bigint)),
gone as (
    delete from ingestion_profileactive a using pair
    where a.project_id = %(project)s and a.profile_id = pair.loser returning pair.winner, a.hour, a.hours, a.days),
one as (
    select winner, hour, hours, days from gone
    union all
    select a.profile_id, a.hour, a.hours, a.days from ingestion_profileactive a
    where a.project_id = %(project)s and a.profile_id in (select winner from gone)),
aligned as (
    select winner, max(hour) over (partition by winner) as newest, hour, hours, days,
        row_number() over (partition by winner order by hour desc) as place from one),
united as (
    insert into ingestion_profileactive (project_id, profile_id, hour, hours, days)
    select %(project)s, winner, newest,
        bit_or(case when newest - hour > 63 then 0 else hours << (newest - hour)::integer end),
        bit_or(case when newest / 24 - hour / 24 > 63 then 0 else days << (newest / 24 - hour / 24)::integer end)
    from aligned group by winner, newest
    on conflict (project_id, profile_id) do update set
        hour = excluded.hour, hours = excluded.hours, days = excluded.days),
moved as (
    select hour - back as hour, 1 - count(*) as active, 0 as first_of_day, 0 as newest
    from one, generate_series(0, 63) as back where (hours >> back) & 1 = 1 group by winner, hour - back
    union all
    select (hour / 24 - back) * 24, 0, 1 - count(*), 0
    from one, generate_series(0, 63) as back where (days >> back) & 1 = 1 group by winner, hour / 24 - back
    union all
    select hour, 0, 0, -1 from aligned where place > 1)
{COUNT}
"""  # noqa: S608 - of constants


def note(cursor: Cursor, project: int, seen: Iterable[tuple[int, int]]) -> None:
    """`seen`: (first millisecond of an hour, profile id). One statement an hour: a turn is of few."""
    by_hour: dict[int, list[int]] = {}
    for hour, profile in sorted(seen):
        by_hour.setdefault(hour, []).append(profile)
    for hour, profiles in by_hour.items():
        cursor.execute(NOTE, {"project": project, "hour": hour // HOUR_MS, "profiles": array(profiles)})


def merge(cursor: Cursor, project: int, losers: Collection[Person]) -> None:
    """Each of `losers` was active as whoever it was merged into."""
    if losers:
        pairs = [{"loser": loser.id, "winner": survivor(loser).id} for loser in losers]
        cursor.execute(MERGE, {"project": project, "pairs": msgspec.json.encode(pairs).decode()})
