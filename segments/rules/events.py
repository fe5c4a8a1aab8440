"""The leaves over the events of one name: an aggregate in a window, and the age of the last or first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from persona.lib.clock import parse_duration
from segments.rules import paths
from segments.rules.calendars import INF
from segments.rules.compare import Holds
from segments.rules.leaf import Language, Leaf, Need, Value, keys_of
from segments.rules.nodes import Event, Since
from segments.rules.rows import Facts, Row, rows_of
from segments.rules.where import Matches, compile_where, where_keys
from segments.rules.windows import Span


def event(node: Event, language: Language) -> Leaf:
    aggregate = language.aggregates[node.agg.fn]
    span = language.windows[type(node.window)](node.window)
    limit = aggregate.limit(node.cmp, node.value)
    matches = compile_where(node.where, language.comparators) if node.where else None
    keys = keys_of(where_keys(node.where) + ([node.agg.prop] if node.agg.prop else []))
    polarity = aggregate.polarity.get(node.cmp, 0)
    need = Need(node.event, span.age, limit if span.newest and not matches else None, *keys)
    value = _event_value(
        name=node.event,
        matches=matches,
        limit=limit,
        read=paths.of_row(node.agg.prop) if node.agg.prop else None,
        states=aggregate.states,
        holds=language.comparators[node.cmp].make(node.value),
        span=span,
        polarity=polarity,
    )
    holds = language.comparators[node.cmp].make(node.value)

    def moves(facts: Facts, now: int) -> dict[str, int]:
        after, upto = bounds = span.bounds(now, facts.retention)
        if not after < now <= upto:
            return {node.event: 0}
        if node.agg.fn != "count":
            return {node.event: polarity}
        rows, _ = counting(facts.events.get(node.event, ()), bounds, matches, None)
        return {node.event: _one_more(len(rows), holds, node)}

    return Leaf(value, (need,), {node.event: polarity}, moves=moves)


def _one_more(count: int, holds: Holds, node: Event) -> int:
    """What one more event makes of a count: another answer, the same one for longer, or neither."""
    found, then = holds(count), holds(count + 1)
    if found is not then:
        return 1 if then else -1
    return (1 if found else -1) if REINFORCED[found](node, count) else 0


REINFORCED: Mapping[bool, Callable[[Event, int], bool]] = {
    True: lambda node, _: node.cmp in ("gt", "gte"),
    False: lambda node, count: node.cmp in ("lt", "lte") or (node.cmp == "eq" and count > node.value),
}


def since(node: Since, language: Language) -> Leaf:
    matches = compile_where(node.where, language.comparators) if node.where else None
    span = language.windows[type(None)](None)
    keys = keys_of(where_keys(node.where))
    if matches:
        need = Need(node.event, None, None, *keys)
    else:
        need = Need(node.event, None, 1 if node.which == "last" else 0, *keys, oldest=node.which == "first")
    value = _since_value(node, parse_duration(node.value) or 0, matches, span)

    def moves(facts: Facts, now: int) -> dict[str, int]:
        rows, _ = counting(rows_of(facts, node.event), span.bounds(now, facts.retention), matches, 1)
        return {node.event: _age_begins(node, bool(rows))}

    return Leaf(value, (need,), {node.event: SINCE.get((node.which, node.cmp, node.if_never), 0)}, moves=moves)


def _age_begins(node: Since, has_one: bool) -> int:
    """What an event of now makes of the age, which it sets to nothing unless an earlier one counts."""
    if has_one and node.which == "first":
        return 0
    true = node.cmp == "lt"
    return (1 if true else -1) if has_one or node.if_never is not true else 0


def _since_value(node: Since, age: int, matches: Matches | None, span: Span) -> Value:
    last = node.which == "last"

    def value(facts: Facts, now: int) -> int:
        bounds = span.bounds(now, facts.retention)
        rows, entering = counting(rows_of(facts, node.event), bounds, matches, 1 if last else None)
        ages = [(row.ts + age, span.leaves(row.ts, facts.retention)) for row in rows]
        found = (ages[-1][0] <= now) is (node.cmp == "gte") if ages else node.if_never
        until = _age_flips(ages, now, found, node)
        if entering is not None and (last or not rows):
            until = min(until, span.enters(entering.ts))
        return until if found else -until

    return value


def _age_flips(ages: Sequence[tuple[int, int]], now: int, found: bool, node: Since) -> int:
    """When the answer `found` ends, if nothing comes: each event stands for all until it leaves, the oldest first.

    ages: of each event, newest first, when it is so old, and when it leaves.
    """
    at = now
    for reached, leaves in reversed(ages):
        if ((reached <= at) is (node.cmp == "gte")) is not found:
            return at
        if at < reached < leaves:
            return reached
        at = max(at, leaves)
    # Of the events after the oldest not all need be known: `last` alone says that there are none.
    return INF if not ages or (node.which == "last" and found is node.if_never) else at


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
    polarity: int,
) -> Value:
    def value(facts: Facts, now: int) -> int:
        rows, entering = counting(facts.events.get(name, ()), span.bounds(now, facts.retention), matches, limit)
        answers = states([read(row) for row in rows] if read else rows)
        found = holds(answers[-1])
        flip = first_flip(rows, answers, holds, found)
        until = INF if flip is None else span.leaves(flip.ts, facts.retention)
        # One event more cannot end what events only bring about: whoever is in already waits for no entering instant.
        if entering is not None and polarity != (1 if found else -1):
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
