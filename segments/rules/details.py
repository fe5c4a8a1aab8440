"""What each kind of leaf found, for who wants to know why."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from segments.rules import paths
from segments.rules.dates import DATES, timestamp
from segments.rules.leaf import Language
from segments.rules.leaves import drawn
from segments.rules.looking import counting
from segments.rules.mismatches import in_where, of_value
from segments.rules.nodes import Bucket, Event, List, Node, Since, Trait
from segments.rules.nodes import Sequence as Steps_
from segments.rules.rows import Facts, Row, rows_of
from segments.rules.sequences import Link, Steps
from segments.rules.where import compile_where

SHOWN = 100  # events that are named


class Detail(NamedTuple):
    """See Explanation."""

    actual: Any
    threshold: Mapping[str, Any]
    counted: int = 0
    uids: tuple[str, ...] = ()
    mismatches: int = 0


def of_trait(node: Trait, facts: Facts, _: int, __: Language) -> Detail:
    found = paths.lookup(paths.split(node.path) or ())(facts.traits)
    actual = timestamp(found) if node.cmp in DATES else found
    return Detail(actual, _compared(node), mismatches=int(of_value(node.cmp, node.value, found)))


def of_event(node: Event, facts: Facts, now: int, language: Language) -> Detail:
    span = language.windows[type(node.window)](node.window)
    inside, rows = _rows(node, facts, span.bounds(now, facts.retention), language)
    read = paths.of_row(node.agg.prop) if node.agg.prop else None
    values = [read(row) for row in rows] if read else rows
    found = language.aggregates[node.agg.fn].states(values)[-1]
    wrong = sum(in_where(node.where, row) for row in inside)
    if read and node.agg.fn != "distinct":
        wrong += _unfit(node, values, found)
    actual = timestamp(found) if node.cmp in DATES else found
    return Detail(actual, _compared(node), len(rows), _uids(rows), wrong)


def _unfit(node: Event, values: Sequence[Any], actual: Any) -> int:
    """Values that an aggregate of numbers leaves out; or the one value that cannot be compared."""
    if node.agg.fn in ("first", "last"):
        return int(of_value(node.cmp, node.value, actual))
    return sum(of_value("eq", 0, value) for value in values)


def of_since(node: Since, facts: Facts, now: int, language: Language) -> Detail:
    bounds = language.windows[type(None)](None).bounds(now, facts.retention)
    inside, rows = _rows(node, facts, bounds, language)
    row = (rows[0] if node.which == "last" else rows[-1]) if rows else None
    wrong = sum(in_where(node.where, each) for each in inside)
    return Detail(
        now - row.ts if row else None, _compared(node), int(row is not None), _uids([row] if row else []), wrong
    )


def of_sequence(node: Steps_, facts: Facts, now: int, language: Language) -> Detail:
    """The events of the chain that holds the longest; if none does, of the one that will hold first."""
    found = list(Steps(node, language).stretches(facts, now))
    holding = [stretch for stretch in found if stretch.start <= now]
    best = max(holding, key=lambda stretch: stretch.end) if holding else None
    if best is None and found:
        best = min(found, key=lambda stretch: stretch.start)
    rows = _chain(best.chain) if best else []
    bounds = language.windows[type(node.window)](node.window).bounds(now, facts.retention)
    wrong = sum(in_where(step.where, row) for step in node.steps for row in _inside(facts, step.event, bounds))
    return Detail(len(holding), {"cmp": "gte", "value": 1}, len(rows), _uids(rows), wrong)


def of_bucket(node: Bucket, facts: Facts, _: int, __: Language) -> Detail:
    return Detail(drawn(node.salt, facts.profile), {"from": node.from_, "to": node.to})


def of_list(node: List, facts: Facts, _: int, __: Language) -> Detail:
    return Detail(facts.profile, {"profiles": len(node.profiles)})


def _compared(node: Trait | Event | Since) -> dict[str, Any]:
    return {"cmp": node.cmp} if node.value is None else {"cmp": node.cmp, "value": node.value}


def _rows(
    node: Event | Since, facts: Facts, bounds: tuple[int, int], language: Language
) -> tuple[list[Row], list[Row]]:
    """The events of the name inside the bounds, and those of them that match."""
    inside = _inside(facts, node.event, bounds)
    if node.where is None:
        return inside, inside
    return inside, list(filter(compile_where(node.where, language.comparators), inside))


def _inside(facts: Facts, name: str, bounds: tuple[int, int]) -> list[Row]:
    return list(counting(rows_of(facts, name), bounds, None, None)[0])


def _chain(link: Link | None) -> list[Row]:
    rows = []
    while link is not None:
        rows.append(link.row)
        link = link.before
    return rows


def _uids(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(row.uid.hex() for row in rows[:SHOWN])


DETAILS: Mapping[type[Node], Callable[[Any, Facts, int, Language], Detail]] = {
    Trait: of_trait,
    Event: of_event,
    Since: of_since,
    Steps_: of_sequence,
    Bucket: of_bucket,
    List: of_list,
}
