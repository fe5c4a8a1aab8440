"""Which events count: the run of rows, newest first, that lies in a window; with whose leaving an answer flips."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from segments.rules.compare import Holds
from segments.rules.rows import Row
from segments.rules.where import Matches
from segments.rules.windows import Span


class Look(NamedTuple):
    """What an aggregate is computed from: the events of a name that match, in a window; read: the property of each."""

    name: str
    matches: Matches | None
    limit: int | None
    read: Callable[[Row], Any] | None
    states: Callable[[Sequence[Any]], Sequence[Any]]
    span: Span


def counting(
    rows: Sequence[Row], bounds: tuple[int, int], matches: Matches | None, limit: int | None
) -> tuple[Sequence[Row], Row | None]:
    """The matching rows inside the bounds, newest first, at most `limit`; and the next one to come in."""
    after, upto = bounds
    if matches is None and rows and rows[0].ts <= upto:
        return rows[: inside(rows, after, limit)], None
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


def inside(rows: Sequence[Row], after: int, limit: int | None) -> int:
    """How many of the rows, newest first, are later than `after`: `limit` at most."""
    most = len(rows) if limit is None else min(len(rows), limit)
    if not most or rows[most - 1].ts > after:
        return most
    return bisect_left(rows, -after, 0, most, key=_backwards)


def _backwards(row: Row) -> int:
    return -row.ts


def first_flip(rows: Sequence[Row], answers: Sequence[Any], holds: Holds, found: bool) -> Row | None:
    """The row with whose leaving the comparison changes for the first time. Rows of one instant leave together."""
    for left in range(len(rows) - 1, -1, -1):
        if left and rows[left - 1].ts == rows[left].ts:
            continue
        if holds(answers[left]) != found:
            return rows[left]
    return None
