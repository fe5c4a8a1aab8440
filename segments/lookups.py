"""The statements that read the events of many profiles: their texts and their parameters. Pure.

Most people have done little. So all events of a profile whose names have windows of one length are read in one walk
along the index, which costs less than a search for each name. Where a walk meets too many, its names are looked up
one by one, each for no more than what decides.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

CAP = 10_000  # newest events of one profile and name; a rule that would need more sees these, and is told so
FEW = 100  # events of one walk; beyond that a lookup for each name is cheaper
SMALL = 400  # bytes of properties that are read whole: cutting them down costs more than it spares
ANY = 0  # the name_id that stands for events of all names; PostgreSQL never sees it
AHEAD = 86_400_000  # ms: nothing is received so long after `now`, which is the database's clock a moment ago

Branch = tuple[bool, bool]  # of any name, the oldest
Statement = tuple[str, dict[str, Any]]


class PlanRow(msgspec.Struct, frozen=True):
    """What to read of one event name.

    window: ms; limit: newest rows that decide, None for all in the window; oldest: the oldest row in the window too.
    """

    name_id: int
    name: str
    window: int
    limit: int | None = None
    properties: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    oldest: bool = False


class Group(NamedTuple):
    """The rows of a plan that are walked together: one window for all. array: their ids, as an element of text[]."""

    window: int
    rows: Sequence[PlanRow]
    array: str
    of_any: bool


class Walk(NamedTuple):
    """All events of one profile in the window of a group, as seen from `earliest` on."""

    profile: int
    earliest: int
    group: Group


class Request(NamedTuple):
    """One lookup: the newest rows, or the oldest, of one profile and one name (or all names)."""

    profile: int
    row: PlanRow
    earliest: int
    oldest: bool

    @property
    def branch(self) -> Branch:
        return self.row.name_id == ANY, self.oldest


def groups(plan: Iterable[PlanRow]) -> list[Group]:
    """The plan by length of window; any name at all is a group of its own."""
    found: dict[int, list[PlanRow]] = {}
    for row in plan:
        found.setdefault(row.window if row.name_id != ANY else ANY, []).append(row)
    return [
        Group(rows[0].window, rows, f'"{int_array([row.name_id for row in rows])}"', key == ANY)
        for key, rows in found.items()
    ]


def walks(wanted: Iterable[tuple[int, Sequence[PlanRow], int]]) -> list[Walk]:
    """The walks for (profile, plan, earliest), those of any name last."""
    grouped: dict[int, list[Group]] = {}  # by the plan's identity: many profiles have the same one
    of_any = False
    found: list[Walk] = []
    for profile, plan, earliest in wanted:
        known = grouped.get(id(plan))
        if known is None:
            known = grouped[id(plan)] = groups(plan)
            of_any = of_any or any(group.of_any for group in known)
        found += [Walk(profile, earliest, group) for group in known]
    if of_any:
        found.sort(key=lambda walk: walk.group.of_any)
    return found


def rows_of(asked: Iterable[Walk]) -> list[PlanRow]:
    """All rows of the walks, each once, if they are of one plan or of plans that share them."""
    return list({id(row): row for walk in asked for row in walk.group.rows}.values())


def walking(project_id: int, asked: Sequence[Walk], rows: Iterable[PlanRow], now: int) -> Statement:
    """Gives (index of the walk, name_id[], ts[], uid[], props as json text, context as json text), in no order; and who
    is gone, see GONE. rows: of the walks, see rows_of.

    It has few texts, so that it is prepared soon. More than FEW rows mean that there are others besides.
    """
    columns, parameters = _columns(rows)
    parameters |= {"project": project_id, "ahead": now + AHEAD, "most": FEW + 1}
    parameters["asked"] = int_array({walk.profile for walk in asked})
    parts = [GONE]
    at = 0
    for n, (of_any, some) in enumerate(groupby(asked, key=lambda walk: walk.group.of_any)):
        of_branch = list(some)
        parameters |= {
            f"at{n}": at - 1,  # ordinality counts from 1
            f"profile{n}": int_array(walk.profile for walk in of_branch),
            f"names{n}": f"{{{','.join([walk.group.array for walk in of_branch])}}}",
            f"since{n}": int_array(walk.earliest - walk.group.window for walk in of_branch),
        }
        name = "" if of_any else "and e.name_id = any(r.names::int[])"
        parts.append(WALK.format(n=n, name=name, **columns))
        at += len(of_branch)
    return " union all ".join(parts), parameters


def requests(wanted: Iterable[tuple[int, PlanRow, int]]) -> list[Request]:
    """The lookups for (profile, row, earliest), those of one branch together."""
    branches: dict[Branch, list[Request]] = {}
    for profile, row, earliest in wanted:
        of_any = row.name_id == ANY
        branches.setdefault((of_any, False), []).append(Request(profile, row, earliest, oldest=False))
        if row.oldest:
            branches.setdefault((of_any, True), []).append(Request(profile, row, earliest, oldest=True))
    return [request for some in branches.values() for request in some]


def looking_up(project_id: int, asked: Sequence[Request], now: int) -> Statement:
    """Gives what `walking` gives, with null for the names: newest first; the oldest where those were asked for."""
    columns, parameters = _columns({request.row for request in asked})
    parameters |= {"project": project_id, "cap": CAP, "now": now, "ahead": now + AHEAD}
    parameters["asked"] = int_array({request.profile for request in asked})
    parts = [GONE]
    at = 0
    for n, ((of_any, oldest), some) in enumerate(groupby(asked, key=lambda request: request.branch)):
        names = {f"{table}_name": "" if of_any else f"and {table}.name_id = r.name" for table in "en"}
        of_branch = list(some)
        parameters |= {
            f"at{n}": at - 1,
            f"profile{n}": int_array(request.profile for request in of_branch),
            f"name{n}": int_array(request.row.name_id for request in of_branch),
            f"since{n}": int_array(request.earliest - request.row.window for request in of_branch),
            f"earliest{n}": int_array(request.earliest for request in of_branch),
            f"lim{n}": int_array(CAP + 1 if (most := request.row.limit) is None else most for request in of_branch),
        }
        parts.append(LOOK_UP.format(n=n, rows=(OLDEST if oldest else NEWEST).format(**columns, **names)))
        at += len(of_branch)
    return " union all ".join(parts), parameters


def int_array(numbers: Iterable[int]) -> str:
    """PostgreSQL's text of an array: psycopg takes ten times as long to find out that these are plain numbers."""
    return f"{{{','.join(map(str, numbers))}}}"


def _columns(rows: Iterable[PlanRow]) -> tuple[dict[str, str], dict[str, Any]]:
    """SQL of the two jsonb columns, and its parameters. Nothing that a person typed becomes SQL."""
    columns: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    wanted = [(row.name_id, row.properties, row.context) for row in rows]
    for column, some in (
        ("props", [(name, keys) for name, keys, _ in wanted if keys]),
        ("context", [(name, keys) for name, _, keys in wanted if keys]),
    ):
        columns[column] = COLUMN.format(column=column, small=SMALL) if some else "null::jsonb"
        if some:
            names = {name for name, _ in some}
            parameters[f"{column}_names"] = None if ANY in names else int_array(sorted(names))
            parameters[f"{column}_keys"] = sorted({key for _, keys in some for key in keys})
    return columns, parameters


# Of names of which nothing is looked at: {}. Null names stand for all names.
COLUMN = """case
            when not (%({column}_names)s::int[] is null or e.name_id = any(%({column}_names)s::int[])) then '{{}}'
            when pg_column_size(e.{column}) <= {small} then e.{column}
            else coalesce((select jsonb_object_agg(k, e.{column} -> k) from unnest(%({column}_keys)s::text[]) k
                           where e.{column} ? k), '{{}}') end"""

# Who was merged or erased by the time at which the events are read, whose events may be somebody else's by now:
# (- id, null, {survivor's id or null}). In the same statement, hence of the same moment, and as a rule no row at all.
GONE = """
select -r.profile, null::int[], array[p.merged_into], null::bytea[], null::text, null::text
from unnest(%(asked)s::bigint[]) r(profile)
left join ingestion_profile p on p.project_id = %(project)s::bigint and p.id = r.profile
where p.id is null or p.merged_into is not null
"""
# The conditions on received_at follow from those on ts (ts <= received_at), and from the fact that nothing was received
# after now: they are there to prune partitions, those made ahead too.
WALK = """
select r.i + %(at{n})s::bigint, f.names, f.ts, f.uid, f.props, f.context
from unnest(%(profile{n})s::bigint[], %(names{n})s::text[], %(since{n})s::bigint[])
    with ordinality as r(profile, names, since, i)
cross join lateral (
    select array_agg(e.name_id) as names, array_agg(e.ts) as ts, array_agg(e.uid) as uid,
           json_agg(e.props) filter (where e.props is not null)::text as props,
           json_agg(e.context) filter (where e.context is not null)::text as context
    from (
        select e.name_id, e.ts, e.uid, {props} as props, {context} as context
        from ingestion_event e
        where e.project_id = %(project)s::bigint and e.profile_id = r.profile {name}
          and e.received_at > r.since and e.received_at < %(ahead)s::bigint and e.ts > r.since
        limit %(most)s::int
    ) e
) f
where f.ts is not null
"""
LOOK_UP = """
select r.i + %(at{n})s::bigint, null::int[], f.ts, f.uid, f.props, f.context
from unnest(%(profile{n})s::bigint[], %(name{n})s::int[], %(since{n})s::bigint[], %(earliest{n})s::bigint[],
            %(lim{n})s::int[]) with ordinality as r(profile, name, since, earliest, lim, i)
cross join lateral (
    select array_agg(e.ts) as ts, array_agg(e.uid) as uid,
           json_agg(e.props) filter (where e.props is not null)::text as props,
           json_agg(e.context) filter (where e.context is not null)::text as context
    from ({rows}) e
) f
where f.ts is not null
"""
# `earliest` may lie in the past: then the newest of that time are wanted beside all that came since.
# For any name at all the profile's events are walked: a step for each name costs ten times as much.
NEWEST = """
        select e.ts, e.uid, {props} as props, {context} as context
        from ingestion_event e
        where e.project_id = %(project)s::bigint and e.profile_id = r.profile {e_name}
          and e.received_at > r.since and e.received_at < %(ahead)s::bigint and e.ts > r.since
        order by e.ts desc, e.uid desc
        limit case when r.lim > %(cap)s::int then r.lim else least(%(cap)s::int + 1, r.lim + (
            select count(*) from ingestion_event n
            where n.project_id = %(project)s::bigint and n.profile_id = r.profile {n_name}
              and n.received_at > r.earliest and n.received_at < %(ahead)s::bigint and n.ts > r.earliest)) end
"""
# And then the oldest one of each instant since: all that left the window meanwhile, and the one after them.
OLDEST = """
        select e.ts, e.uid, {props} as props, {context} as context
        from ingestion_event e
        where e.project_id = %(project)s::bigint and e.profile_id = r.profile {e_name}
          and e.received_at > r.since and e.received_at < %(ahead)s::bigint and e.ts > r.since
        order by e.ts, e.uid
        limit least(%(cap)s::int, 1 + (
            select count(*) from ingestion_event n
            where n.project_id = %(project)s::bigint and n.profile_id = r.profile {n_name}
              and n.received_at > r.since and n.received_at < %(ahead)s::bigint
              and n.ts > r.since and n.ts <= r.since + (%(now)s::bigint - r.earliest)))
"""
