"""The value of a count: its few answers are known beforehand, so only the row with which it flips is looked for."""

from collections.abc import Iterator, Sequence

from segments.rules.calendars import INF, NEVER
from segments.rules.compare import Holds
from segments.rules.leaf import Value
from segments.rules.looking import Look, counting, first_flip, inside
from segments.rules.rows import Facts, Row


def count_value(look: Look, holds: Holds, polarity: int) -> Value:
    """limit of the look: how far is counted; more events would change nothing."""
    name, matches, limit, _, states, span = look
    answers = states(range(limit or 0))
    truths = [holds(answer) for answer in answers]
    flips = list(_flips(truths))
    without = INF if truths[0] else NEVER
    if not limit:
        return lambda _facts, _now: without

    def value(facts: Facts, now: int) -> int:
        rows: Sequence[Row] | None = facts.events.get(name)
        if not rows:
            return without
        after, upto = bounds = span.bounds(now, facts.retention)
        entering = None
        if matches is None and rows[0].ts <= upto:
            count = inside(rows, after, limit)
        else:
            rows, entering = counting(rows, bounds, matches, limit)
            count = len(rows)
        found, flip = truths[count], flips[count]
        leaving = None if flip is None else rows[flip]
        if flip and rows[flip - 1].ts == rows[flip].ts:
            leaving = first_flip(rows[:count], answers, holds, found)
        until = INF if leaving is None else span.leaves(leaving.ts, facts.retention)
        # As of other aggregates: one event more cannot end what events only bring about.
        if entering is not None and polarity != (1 if found else -1):
            until = min(until, span.enters(entering.ts))
        return until if found else -until

    return value


def _flips(truths: Sequence[bool]) -> Iterator[int | None]:
    """For each count the next lower one of which the opposite is true."""
    flip = None
    for count, found in enumerate(truths):
        if count and truths[count - 1] is not found:
            flip = count - 1
        yield flip
