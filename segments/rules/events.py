"""The leaf `event`: an aggregate over the events of one name in a window."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from persona.lib.clock import parse_duration
from segments.rules import paths
from segments.rules.calendars import INF, NEVER
from segments.rules.compare import Holds
from segments.rules.counts import count_value
from segments.rules.dates import When, through
from segments.rules.leaf import Language, Leaf, Need, Value, keys_of
from segments.rules.looking import Look, counting, first_flip
from segments.rules.nodes import Event
from segments.rules.rows import Facts, Row
from segments.rules.where import compile_where, where_keys
from segments.rules.windows import Span


def event(node: Event, language: Language) -> Leaf:
    aggregate = language.aggregates[node.agg.fn]
    span = language.windows[type(node.window)](node.window)
    limit = aggregate.limit(node.cmp, node.value)
    matches = compile_where(node.where, language.comparators) if node.where else None
    keys = keys_of(where_keys(node.where) + ([node.agg.prop] if node.agg.prop else []))
    polarity = aggregate.polarity.get(node.cmp, 0)
    need = Need(node.event, span.age, limit if span.newest and not matches else None, *keys)
    read = paths.of_row(node.agg.prop) if node.agg.prop else None
    look = Look(node.event, matches, limit, read, aggregate.states, span)
    if node.cmp in language.dates:
        when = language.dates[node.cmp](parse_duration(node.value) or 0)
        return Leaf(_dated_value(look, when), (need,), {node.event: polarity})
    holds = language.comparators[node.cmp].make(node.value)
    value = (
        _event_value(look, holds, polarity) if aggregate.prop or limit is None else count_value(look, holds, polarity)
    )

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


def _event_value(look: Look, holds: Holds, polarity: int) -> Value:
    name, matches, limit, read, states, span = look
    without = INF if holds(states(())[-1]) else NEVER

    def value(facts: Facts, now: int) -> int:
        known = facts.events.get(name)
        if not known:
            return without
        rows, entering = counting(known, span.bounds(now, facts.retention), matches, limit)
        answers = states([read(row) for row in rows] if read else rows)
        found = holds(answers[-1])
        flip = first_flip(rows, answers, holds, found)
        until = INF if flip is None else span.leaves(flip.ts, facts.retention)
        # One event more cannot end what events only bring about: whoever is in already waits for no entering instant.
        if entering is not None and polarity != (1 if found else -1):
            until = min(until, span.enters(entering.ts))
        return until if found else -until

    return value


def _dated_value(look: Look, when: When) -> Value:
    """Of an aggregate that is an instant: two clocks run, that of the window and that of the date."""
    name, matches, limit, read, states, span = look

    def value(facts: Facts, now: int) -> int:
        rows, entering = counting(facts.events.get(name, ()), span.bounds(now, facts.retention), matches, limit)
        answers = states([read(row) for row in rows] if read else rows)
        f = through(_stretches(rows, answers, span, facts.retention), when, now)
        if entering is None:
            return f
        until = min(abs(f), span.enters(entering.ts))
        return until if f > 0 else -until

    return value


def _stretches(rows: Sequence[Row], answers: Sequence[Any], span: Span, retention: int) -> Iterator[tuple[Any, int]]:
    """What the aggregate is, and until when, as the oldest rows drop out, if nothing else happens."""
    for left in range(len(rows), 0, -1):
        yield answers[left], span.leaves(rows[left - 1].ts, retention)
    yield answers[0], INF
