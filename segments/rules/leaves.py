"""The leaves: each kind is one row of LEAVES, which turns a node into something that can be judged and planned.

The value of a leaf at `now` is one signed integer f with |f| > now, in ms, or +-INF.
f > 0: true at least on [now, f). f < 0: false at least on [now, -f). INF: only new input can change it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from persona.lib.clock import parse_duration
from segments.rules import paths
from segments.rules.aggregates import AGGREGATES, Aggregate
from segments.rules.compare import COMPARATORS, Comparator, Holds
from segments.rules.nodes import Bucket, Event, Since, Trait
from segments.rules.nodes import Node as AnyNode
from segments.rules.rows import Facts, Row
from segments.rules.where import Matches, compile_where, where_keys
from segments.rules.windows import INF, WINDOWS, Span

Value = Callable[[Facts, int], int]


class Need(NamedTuple):
    """Which events a leaf has to see.

    since: the oldest age in ms (None: retention); limit: this many of the newest decide (None: all);
    props, context: the top-level keys that are looked at.
    """

    name: str
    since: int | None
    limit: int | None
    props: frozenset[str] = frozenset()
    context: frozenset[str] = frozenset()


class Leaf(NamedTuple):
    """polarity: +1 if one more event of that name can only make the leaf true, -1 if only false, 0 if either."""

    value: Value
    needs: tuple[Need, ...] = ()
    polarity: Mapping[str, int] = {}
    traits: bool = False


class Language(NamedTuple):
    """The tables that give the words of a rule their meaning."""

    comparators: Mapping[str, Comparator]
    aggregates: Mapping[str, Aggregate]
    windows: Mapping[type, Callable[[Any], Span]]
    leaves: "Mapping[type, Callable[[Any, Language], Leaf]]"


def trait(node: Trait, language: Language) -> Leaf:
    find = paths.lookup(paths.split(node.path) or ())
    holds = language.comparators[node.cmp].make(node.value)
    return Leaf(lambda facts, _: INF if holds(find(facts.traits)) else -INF, traits=True)


def event(node: Event, language: Language) -> Leaf:
    aggregate = language.aggregates[node.agg.fn]
    span = language.windows[type(node.window)](node.window)
    limit = aggregate.limit(node.cmp, node.value)
    matches = compile_where(node.where, language.comparators) if node.where else None
    need = Need(node.event, span.age, limit if span.newest and not matches else None, *_keys(node))
    value = _event_value(
        name=node.event,
        matches=matches,
        limit=limit,
        read=paths.of_row(node.agg.prop) if node.agg.prop else None,
        states=aggregate.states,
        holds=language.comparators[node.cmp].make(node.value),
        span=span,
    )
    return Leaf(value, (need,), {node.event: aggregate.polarity.get(node.cmp, 0)})


def since(node: Since, language: Language) -> Leaf:
    matches = compile_where(node.where, language.comparators) if node.where else None
    limit = 1 if node.which == "last" else None
    span = language.windows[type(None)](None)
    need = Need(node.event, None, None if matches else limit, *_keys(node))
    value = _since_value(node, parse_duration(node.value) or 0, matches, limit, span)
    return Leaf(value, (need,), {node.event: SINCE.get((node.which, node.cmp, node.if_never), 0)})


def _since_value(node: Since, age: int, matches: Matches | None, limit: int | None, span: Span) -> Value:
    def value(facts: Facts, now: int) -> int:
        rows, entering = counting(facts.events.get(node.event, ()), span.bounds(now, facts.retention), matches, limit)
        found, until = node.if_never, INF
        if rows:
            ts = rows[-1].ts  # of the last alone, or of all
            reached, leaves = ts + age <= now, span.leaves(ts, facts.retention)
            found = reached is (node.cmp == "gte")
            alone = limit == 1 and found is node.if_never  # then there is none, and that is the same answer
            until = min(ts + age, leaves) if not reached else INF if alone else leaves
        if entering is not None:
            until = min(until, span.enters(entering.ts))
        return until if found else -until

    return value


def bucket(node: Bucket, _: Language) -> Leaf:
    def value(facts: Facts, _: int) -> int:
        digest = hashlib.sha256(f"{node.salt}:{facts.profile}".encode()).digest()
        return INF if node.from_ <= int.from_bytes(digest[:8], "big") % 10_000 < node.to else -INF

    return Leaf(value)


# How one more event moves `since`: by which, cmp and if_never.
SINCE = {
    ("last", "lt", False): 1,
    ("last", "gte", True): -1,
    ("first", "gte", False): 1,
    ("first", "lt", True): -1,
}


def _event_value(
    *,
    name: str,
    matches: Matches | None,
    limit: int | None,
    read: Callable[[Row], Any] | None,
    states: Callable[[Sequence[Any]], Sequence[Any]],
    holds: Holds,
    span: Span,
) -> Value:
    def value(facts: Facts, now: int) -> int:
        rows, entering = counting(facts.events.get(name, ()), span.bounds(now, facts.retention), matches, limit)
        answers = states([read(row) for row in rows] if read else rows)
        found = holds(answers[-1])
        flip = first_flip(rows, answers, holds, found)
        until = INF if flip is None else span.leaves(flip.ts, facts.retention)
        if entering is not None:
            until = min(until, span.enters(entering.ts))
        return until if found else -until

    return value


def counting(
    rows: Sequence[Row], bounds: tuple[int, int], matches: Matches | None, limit: int | None
) -> tuple[list[Row], Row | None]:
    """The matching rows inside the bounds, newest first, at most `limit`; and the next one to come in."""
    after, upto = bounds
    found: list[Row] = []
    entering: Row | None = None
    for row in rows:
        if row.ts <= after or len(found) == limit:
            break
        if matches is None or matches(row):
            if row.ts > upto:
                entering = row
            else:
                found.append(row)
    return found, entering


def first_flip(rows: Sequence[Row], answers: Sequence[Any], holds: Holds, found: bool) -> Row | None:
    """The row with whose leaving the comparison changes for the first time. Rows of one instant leave together."""
    for left in range(len(rows) - 1, -1, -1):
        if left and rows[left - 1].ts == rows[left].ts:
            continue
        if holds(answers[left]) != found:
            return rows[left]
    return None


def _keys(node: Event | Since) -> tuple[frozenset[str], frozenset[str]]:
    """Top-level keys of properties and of context."""
    found: dict[str, frozenset[str]] = {"properties": frozenset(), "context": frozenset()}
    for path in where_keys(node.where) + ([node.agg.prop] if isinstance(node, Event) and node.agg.prop else []):
        root, steps = paths.rooted(path)
        found[root] |= paths.top_keys(steps)
    return found["properties"], found["context"]


LEAVES: Mapping[type[AnyNode], Callable[[Any, Language], Leaf]] = {
    Trait: trait,
    Event: event,
    Since: since,
    Bucket: bucket,
}
LANGUAGE = Language(COMPARATORS, AGGREGATES, WINDOWS, LEAVES)
