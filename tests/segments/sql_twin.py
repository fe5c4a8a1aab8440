"""The rule language a second time, as SQL over plain tables: who is a member at one instant.

Written from the language's definitions alone; it shares no code with segments.rules and reads the JSON document
itself. It knows nothing of validity, plans or pages: one statement per rule looks at all profiles and all events.
"""

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

Json = dict[str, Any]

UNITS = {"D": 86_400_000, "H": 3_600_000, "M": 60_000, "S": 1_000}
ORDERS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

# The events that count at all at :now, and the profiles, of one project; and what plain SQL has no word for.
SETUP = """
create temp table twin_event on commit drop as
select e.profile_id, n.name, e.ts, e.uid, e.props, coalesce(e.context, '{}') as context
from ingestion_event e join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
where e.project_id = %(project)s and e.ts <= %(now)s and %(now)s - e.ts < %(retention)s;
create index on twin_event (profile_id, name, ts, uid);
create temp table twin_profile on commit drop as
select id, public_id, traits, identified from ingestion_profile where project_id = %(project)s and merged_into is null;
analyze twin_event; analyze twin_profile;

create or replace function pg_temp.value(found jsonb) returns jsonb immutable language sql as
$$ select nullif(found, 'null') $$;

create or replace function pg_temp.number(found jsonb) returns float8 immutable language sql as
$$ select case jsonb_typeof(found) when 'number' then (found #>> '{}')::float8 end $$;

create or replace function pg_temp.string(found jsonb) returns text immutable language sql as
$$ select case jsonb_typeof(found) when 'string' then found #>> '{}' end $$;

create or replace function pg_temp.scalar(found jsonb) returns jsonb immutable language sql as
$$ select case when jsonb_typeof(found) in ('string', 'number', 'boolean') then found end $$;

-- An RFC 3339 string (UTC where it says no offset), milliseconds from 1e11 on, seconds below.
create or replace function pg_temp.instant(found jsonb) returns bigint stable language sql as $$
select case jsonb_typeof(found)
    when 'number' then case when pg_temp.number(found) >= 1e11 then round(pg_temp.number(found))::bigint
        else round(pg_temp.number(found) * 1000)::bigint end
    when 'string' then case
        when found #>> '{}' ~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)$'
            then round(extract(epoch from (found #>> '{}')::timestamptz) * 1000)::bigint
        when found #>> '{}' ~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?$'
            then round(extract(epoch from (found #>> '{}' || 'Z')::timestamptz) * 1000)::bigint end
    end $$;

-- All digits of a double: its 53 bits times a power of two, which is a power of five with the point moved.
create or replace function pg_temp.exact(x float8) returns numeric immutable language sql as $$
select case when x = trunc(x) then x::numeric else (
    select sign(x::numeric) * (4503599627370496 + (bits & 4503599627370495))::numeric * 5::numeric ^ (1075 - power)
        * ('1e-' || 1075 - power)::numeric
    from (select bits, ((bits >> 52) & 2047)::int as power
          from (select ('x' || encode(float8send(x), 'hex'))::bit(64)::bigint as bits) b) parts) end $$;
"""


class Twin:
    """Rules as SQL for one project at one instant; `personas`: the documents that rules may refer to."""

    def __init__(self, *, now: int, personas: Mapping[str, Json]) -> None:
        self.now, self.personas = now, personas

    def statement(self, document: Json) -> str:
        """Gives the ids of the members; takes no parameters."""
        return f"select p.id from twin_profile p where {self.envelope(document)}"

    def envelope(self, document: Json) -> str:
        admitted = "p.identified" if document.get("identified_only") else "true"
        return f"({admitted} and {self.node(document['rule'])})"

    def node(self, node: Json) -> str:
        """SQL that is true or false, never null, of a profile p."""
        made: str = getattr(self, f"{node['op']}_")(node)
        return made

    def all_(self, node: Json) -> str:
        return f"({' and '.join(map(self.node, node['of']))})"

    def any_(self, node: Json) -> str:
        return f"({' or '.join(map(self.node, node['of']))})"

    def not_(self, node: Json) -> str:
        return f"(not {self.node(node['of'])})"

    def member_(self, node: Json) -> str:
        return self.envelope(self.personas[node["persona"]])

    def list_(self, node: Json) -> str:
        return f"p.public_id in ({', '.join(map(quoted, node['profiles']))})"

    def bucket_(self, node: Json) -> str:
        digest = f"sha256(convert_to({quoted(node['salt'] + ':')} || p.public_id, 'UTF8'))"
        number = " + ".join(f"get_byte({digest}, {at})::numeric * {256 ** (7 - at)}" for at in range(8))
        return f"(({number}) % 10000 >= {node['from']} and ({number}) % 10000 < {node['to']})"

    def trait_(self, node: Json) -> str:
        return self.compared(at("p.traits", keys(node["path"])), node)

    def compared(self, found: str, node: Json) -> str:
        """As `compare`, and with the present."""
        if node["cmp"] not in ("older_than", "newer_than", "within_next"):
            return compare(found, node)
        age, length = f"({self.now} - pg_temp.instant({found}))", milliseconds(node["value"])
        return {
            "older_than": f"coalesce({age} >= {length}, false)",
            "newer_than": f"coalesce({age} >= 0 and {age} < {length}, false)",
            "within_next": f"coalesce({age} <= 0 and -{age} < {length}, false)",
        }[node["cmp"]]

    def event_(self, node: Json) -> str:
        agg = node.get("agg", {"fn": "count"})
        prop = in_event("e", agg["prop"]) if "prop" in agg else ""
        number = f"pg_temp.number({prop})"
        total = f"sum(pg_temp.exact({number}))::float8"
        made = {
            "count": "to_jsonb(count(*))",
            "sum": f"to_jsonb(coalesce({total}, 0))",
            "avg": f"to_jsonb({total} / count({number})::float8)",
            "min": f"to_jsonb(min({number}))",
            "max": f"to_jsonb(max({number}))",
            "distinct": f"to_jsonb(count(distinct pg_temp.scalar({prop})))",
            "first": f"(array_agg({prop} order by e.ts, e.uid))[1]",
            "last": f"(array_agg({prop} order by e.ts desc, e.uid desc))[1]",
        }[agg["fn"]]
        return self.compared(
            f"(select {made} from twin_event e where {self.matching('e', node)} and {self.inside('e', node)})", node
        )

    def since_(self, node: Json) -> str:
        end = "max" if node["which"] == "last" else "min"
        instant = f"(select {end}(e.ts) from twin_event e where {self.matching('e', node)})"
        holds = f"{self.now} - {instant} {ORDERS[node['cmp']]} {milliseconds(node['value'])}"
        return f"coalesce({holds}, {node.get('if_never', False)})"

    def sequence_(self, node: Json) -> str:
        """Some chain of events, written as a join of as many sets as there are steps."""
        steps = [f"e{index}" for index in range(len(node["steps"]))]
        first, last = steps[0], steps[-1]
        sets = ", ".join(
            f"s{e} as materialized (select e.* from twin_event e where {self.matching('e', step)}"
            f" and {self.inside('e', node)})"
            for e, step in zip(steps, node["steps"], strict=True)
        )
        holds = [follows(one, other) for one, other in pairwise(steps)]
        holds += [alike(first, e, node) for e in steps]
        holds.append(f"{last}.ts - {first}.ts <= {milliseconds(node['within'])}")
        if node.get("strict"):
            names = ", ".join(quoted(step["event"]) for step in node["steps"])
            holds += [
                f"not exists (select from twin_event o where o.profile_id = p.id and o.name in ({names})"
                f" and {follows(one, 'o')} and {follows('o', other)})"
                for one, other in pairwise(steps)
            ]
        if "absent" in node:
            until = f"{last}.ts + {milliseconds(node['absent']['within'])}"
            holds.append(f"{self.now} >= {until}")
            holds.append(
                f"not exists (select from twin_event o where {self.matching('o', node['absent'])}"
                f" and {follows(last, 'o')} and o.ts < {until} and {alike(first, 'o', node)})"
            )
        tables = ", ".join(f"s{e} {e}" for e in steps)
        return f"exists (with {sets} select from {tables} where {' and '.join(holds)})"

    def matching(self, e: str, step: Json) -> str:
        named = "" if step["event"] == "*" else f" and {e}.name = {quoted(step['event'])}"
        where = f" and {self.where(e, step['where'])}" if "where" in step else ""
        return f"{e}.profile_id = p.id{named}{where}"

    def where(self, e: str, node: Json) -> str:
        if node["op"] == "trait":
            return compare(in_event(e, node["path"]), node)
        if node["op"] == "not":
            return f"(not {self.where(e, node['of'])})"
        return f"({(' and ' if node['op'] == 'all' else ' or ').join(self.where(e, each) for each in node['of'])})"

    def inside(self, e: str, node: Json) -> str:
        age = f"({self.now} - {e}.ts)"
        match node.get("window"):
            case None:
                return "true"
            case {"last": length}:
                return f"({age} >= 0 and {age} < {milliseconds(length)})"
            case {"between": [old, young]}:
                return f"({age} >= {milliseconds(young)} and {age} < {milliseconds(old)})"
            case {"from": start, "to": end}:
                return f"({e}.ts >= {absolute(start)} and {e}.ts < {absolute(end)})"
            case {"calendar": unit, "back": back, "tz": tz}:
                now, ts = (f"date_trunc({quoted(unit)}, {local(t, tz)})" for t in (self.now, f"{e}.ts"))
                return f"({ts} = {now} - {back} * interval '1 {unit}')"
        raise AssertionError(node)


def local(ts: str | int, tz: str) -> str:
    return f"((timestamptz 'epoch' + {ts} * interval '1 millisecond') at time zone {quoted(tz)})"


def follows(one: str, other: str) -> str:
    return f"({one}.ts, {one}.uid) < ({other}.ts, {other}.uid)"


def alike(one: str, other: str, node: Json) -> str:
    """Both have each of the `same` properties, and it is one scalar: jsonb's = knows types, and that 1 is 1.0."""
    pairs = [(in_event(one, path), in_event(other, path)) for path in node.get("same", ())]
    holds = [f"coalesce(pg_temp.scalar({left}) = pg_temp.scalar({right}), false)" for left, right in pairs]
    return " and ".join(holds) or "true"


def compare(found: str, node: Json) -> str:
    """found: SQL of a jsonb, null where there is nothing."""
    value = node.get("value")
    cmp = node["cmp"]
    if cmp == "missing":
        return f"({found} is null)"
    if cmp == "exists":
        return f"({found} is not null)"
    return f"coalesce({_comparison(found, cmp, value)}, false)"


def _comparison(found: str, cmp: str, value: Any) -> str:
    match cmp:
        case "eq":
            return equal(found, value)
        case "in":
            return f"({' or '.join(equal(found, each) for each in value)})"
        case "prefix":
            return f"starts_with(pg_temp.string({found}), {quoted(value)})"
        case "contains":
            element = f"(select bool_or(x = {as_json(value)}) from jsonb_array_elements({found}) x)"
            part = f"strpos(pg_temp.string({found}), {quoted(value)}) > 0" if isinstance(value, str) else "false"
            return f"case jsonb_typeof({found}) when 'array' then {element} when 'string' then {part} end"
        case "before" | "after":
            return f"pg_temp.instant({found}) {'<' if cmp == 'before' else '>'} {absolute(value)}"
    if isinstance(value, str):
        return "false"  # two strings never
    return f"pg_temp.number({found}) {ORDERS[cmp]} {value}::float8"


def equal(found: str, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"coalesce(pg_temp.number({found}) = {value}::float8, false)"
    return f"coalesce({found} = {as_json(value)}, false)"


def in_event(e: str, path: str) -> str:
    """A property, or a value of the context, of the event e."""
    root, *rest = keys(path)
    if rest and path.startswith("context."):
        return at(f"{e}.context", rest)
    return at(f"{e}.props", rest if rest and path.startswith("properties.") else [root, *rest])


def at(inside: str, path: list[str]) -> str:
    """The whole path as one key first, if no part of it is quoted; else its first key, and the rest in there."""
    inner = f"pg_temp.value({inside} -> {quoted(path[0].strip(chr(34)))})"
    if len(path) == 1:
        return inner
    descended = at(inner, path[1:])
    if any(key.startswith('"') for key in path):
        return descended
    return f"coalesce(pg_temp.value({inside} -> {quoted('.'.join(path))}), {descended})"


def keys(path: str) -> list[str]:
    """Quoted keys keep their quotes."""
    return re.findall(r'"[^"]+"|[^".]+', path)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def as_json(value: Any) -> str:
    return f"{quoted(json.dumps(value))}::jsonb"


def absolute(text: str) -> str:
    return f"pg_temp.instant({as_json(text)})"


def milliseconds(duration: str) -> int:
    return round(sum(float(n) * UNITS[unit] for n, unit in re.findall(r"([\d.]+)([DHMS])", duration)))
