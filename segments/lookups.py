"""The one statement that reads the events of many profiles: its text and its parameters. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

CAP = 10_000  # newest events of one profile and name; a rule that would need more sees these, and is told so
ANY = 0  # the name_id that stands for events of all names; PostgreSQL never sees it
AHEAD = 86_400_000  # ms: nothing is received so long after `now`, which is the database's clock a moment ago
KEYS_AT_ONCE = 40  # PostgreSQL's functions take at most 100 arguments

Shape = tuple[tuple[str, ...], tuple[str, ...]]  # keys of properties, of context
Branch = tuple[bool, bool]  # of any name, the oldest


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


class Request(NamedTuple):
    """One lookup: the newest rows, or the oldest, of one profile and one name (or all names)."""

    profile: int
    row: PlanRow
    earliest: int
    oldest: bool

    @property
    def branch(self) -> Branch:
        return self.row.name_id == ANY, self.oldest


def requests(wanted: Iterable[tuple[int, PlanRow, int]]) -> list[Request]:
    """The lookups for (profile, row, earliest), those of one branch together."""
    branches: dict[Branch, list[Request]] = {}
    for profile, row, earliest in wanted:
        of_any = row.name_id == ANY
        branches.setdefault((of_any, False), []).append(Request(profile, row, earliest, oldest=False))
        if row.oldest:
            branches.setdefault((of_any, True), []).append(Request(profile, row, earliest, oldest=True))
    return [request for some in branches.values() for request in some]


def statement(project_id: int, asked: Sequence[Request], now: int) -> tuple[str, dict[str, Any]]:
    """The text depends on the sets of keys alone, so that the same plans use the same prepared statement.

    It gives (index of the request, ts[], uid[], props as json text, context as json text), newest first; the oldest
    first where those were asked for.
    """
    shapes: dict[Shape, int] = {}
    for request in asked:
        shapes.setdefault((request.row.properties, request.row.context), len(shapes))
    keys = {
        key: f"k{n}" for n, key in enumerate(dict.fromkeys(key for shape in shapes for some in shape for key in some))
    }
    cut = {
        "props": _cut("e.props", [shape[0] for shape in shapes], keys),
        "context": _cut("e.context", [shape[1] for shape in shapes], keys),
    }
    parameters: dict[str, Any] = {name: key for key, name in keys.items()}
    parameters |= {"project": project_id, "cap": CAP, "now": now, "ahead": now + AHEAD}
    parts: list[str] = []
    at = 0
    for (of_any, oldest), some in groupby(asked, key=lambda request: request.branch):
        names = {f"{table}_name": "" if of_any else f"and {table}.name_id = r.name" for table in "en"}
        of_branch = list(some)
        parameters |= _columns(len(parts), at, of_branch, shapes)
        parts.append(BRANCH.format(n=len(parts), rows=(OLDEST if oldest else NEWEST).format(**cut, **names)))
        at += len(of_branch)
    return " union all ".join(parts), parameters


def _columns(n: int, at: int, asked: Sequence[Request], shapes: Mapping[Shape, int]) -> dict[str, Any]:
    return {
        f"at{n}": at - 1,  # ordinality counts from 1
        f"profile{n}": int_array(request.profile for request in asked),
        f"name{n}": int_array(request.row.name_id for request in asked),
        f"since{n}": int_array(request.earliest - request.row.window for request in asked),
        f"earliest{n}": int_array(request.earliest for request in asked),
        f"lim{n}": int_array(CAP + 1 if request.row.limit is None else request.row.limit for request in asked),
        f"shape{n}": int_array(shapes[request.row.properties, request.row.context] for request in asked),
    }


def int_array(numbers: Iterable[int]) -> str:
    """PostgreSQL's text of an array: psycopg takes ten times as long to find out that these are plain numbers."""
    return f"{{{','.join(map(str, numbers))}}}"


BRANCH = """
select r.i + %(at{n})s::bigint, f.ts, f.uid, f.props, f.context
from unnest(%(profile{n})s::bigint[], %(name{n})s::int[], %(since{n})s::bigint[], %(earliest{n})s::bigint[],
            %(lim{n})s::int[], %(shape{n})s::int[]) with ordinality as r(profile, name, since, earliest, lim, shape, i)
cross join lateral (
    select array_agg(e.ts) as ts, array_agg(e.uid) as uid,
           json_agg(e.props) filter (where e.props is not null)::text as props,
           json_agg(e.context) filter (where e.context is not null)::text as context
    from ({rows}) e
) f
where f.ts is not null
"""

# `earliest` may lie in the past: then the newest of that time are wanted beside all that came since.
# For any name at all the profile's events are walked: mostly a few dozen. A step for each name costs ten times as much.
# The conditions on received_at follow from those on ts (ts <= received_at), and from the fact that nothing was received
# after now: they are there to prune partitions, those made ahead too.
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


def _cut(column: str, shapes: Sequence[tuple[str, ...]], names: Mapping[str, str]) -> str:
    """SQL that reduces a jsonb column to the keys that the request's shape wants, types kept; null for none."""
    cases = [f"when {index} then {_object(column, keys, names)}" for index, keys in enumerate(shapes) if keys]
    return f"case r.shape {' '.join(cases)} end" if cases else "null::jsonb"


def _object(column: str, keys: Sequence[str], names: Mapping[str, str]) -> str:
    """The keys are parameters: nothing that a person typed becomes SQL."""
    pairs = [f"%({names[key]})s::text, {column} -> %({names[key]})s::text" for key in keys]
    parts = [pairs[at : at + KEYS_AT_ONCE] for at in range(0, len(pairs), KEYS_AT_ONCE)]
    return " || ".join(f"jsonb_build_object({', '.join(part)})" for part in parts)
