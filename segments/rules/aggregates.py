"""Aggregates over events. Each gives all its states at once: state i is the answer for the i newest events alone.

As time passes the oldest drop out, so the states from the last to the first are the future, if nothing else happens.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from segments.rules.compare import MAX, kind

Values = Sequence[Any]  # the property of each matching event, newest first; None is missing
States = Sequence[Any]  # one more than values; None is missing
Limit = Callable[[str, Any], int | None]

NUMERIC = frozenset({"eq", "in", "gt", "gte", "lt", "lte"})
MAYBE = NUMERIC | {"exists", "missing"}
# The shape of the operand, where it is narrower than the comparator's own.
TALLY = dict.fromkeys(NUMERIC, "tally") | {"in": "tallies"}
AMOUNT = dict.fromkeys(NUMERIC, "number") | {"in": "numbers"}
MORE = {"gte": 1, "gt": 1, "lt": -1, "lte": -1}


class Aggregate(NamedTuple):
    """states: see above; comparators: which may follow (None: any); takes: shape of the operand, or the comparator's;
    limit: how many of the newest matching events decide (None: all); polarity: per comparator +1 if one more event
    can only make it true, -1 if only false, else 0.
    """

    states: Callable[[Values], States]
    comparators: frozenset[str] | None
    takes: Mapping[str, str] = {}
    limit: Limit = lambda _cmp, _value: None
    polarity: Mapping[str, int] = {}
    prop: bool = True


def number(value: Any) -> bool:
    """A JSON number that fits a double: a sender can write more digits than that."""
    return type(value) is float or (type(value) is int and -MAX <= value <= MAX)


def count(values: Values) -> States:
    return range(len(values) + 1)


def decisive(cmp: str, value: Any) -> int:
    """A count need not go further than this: more events would not change the answer."""
    if cmp == "in":
        return 1 + int(max(value))
    return int(value) + (0 if cmp in ("gte", "lt") else 1)


def total(values: Values) -> States:
    """The sum of the numbers, exact, then rounded once to a double: independent of their order."""
    ratios = [value.as_integer_ratio() if number(value) else (0, 1) for value in values]
    scale = max((below for _, below in ratios), default=1)  # a power of two, like all of them
    sums = accumulate((above * (scale // below) for above, below in ratios), initial=0)
    return list(sums) if scale == 1 else [_rounded(sum_, scale) for sum_ in sums]


def average(values: Values) -> States:
    counts = accumulate((number(value) for value in values), initial=0)
    return [sum_ / n if n else None for sum_, n in zip(total(values), counts, strict=True)]


def extreme(better: Callable[[Any, Any], Any]) -> Callable[[Values], States]:
    """The least or the greatest of the numbers."""

    def step(best: Any, value: Any) -> Any:
        return best if not number(value) else value if best is None else better(best, value)

    return lambda values: list(accumulate((None, *values), step))


def distinct(values: Values) -> States:
    """How many different scalars there are; 1 and true are two."""
    return [0, *_sizes((kind(value), value) if kind(value) else None for value in values)]


def first(values: Values) -> States:
    return [None, *values]


def last(values: Values) -> States:
    return [None, *([values[0]] * len(values) if values else ())]


AGGREGATES: Mapping[str, Aggregate] = {
    "count": Aggregate(count, NUMERIC, TALLY, decisive, MORE, prop=False),
    "sum": Aggregate(total, NUMERIC, AMOUNT),
    "avg": Aggregate(average, MAYBE, AMOUNT),
    "min": Aggregate(extreme(min), MAYBE, AMOUNT, polarity={"lt": 1, "lte": 1}),
    "max": Aggregate(extreme(max), MAYBE, AMOUNT, polarity={"gt": 1, "gte": 1}),
    "distinct": Aggregate(distinct, NUMERIC, TALLY, polarity=MORE),
    "first": Aggregate(first, None),
    "last": Aggregate(last, None, limit=lambda _cmp, _value: 1),
}


def _sizes(keys: Iterable[Any]) -> Iterable[int]:
    seen: set[Any] = set()
    for key in keys:
        if key is not None:
            seen.add(key)
        yield len(seen)


def _rounded(above: int, below: int) -> int | float:
    try:
        return above / below
    except OverflowError:  # too large for a double, and too large for its fraction to matter
        return above // below
