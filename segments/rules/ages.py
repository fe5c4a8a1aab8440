"""The leaf `since`: the age of the last, or of the first, event of one name."""

from collections.abc import Sequence

from persona.lib.clock import parse_duration
from segments.rules.calendars import INF
from segments.rules.leaf import Language, Leaf, Need, Value, keys_of
from segments.rules.looking import counting
from segments.rules.nodes import Since
from segments.rules.rows import Facts, rows_of
from segments.rules.where import Matches, compile_where, where_keys
from segments.rules.windows import Span


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
