"""What a leaf is: a value that can be judged, what it needs to see, and how events can move it.

The value of a leaf at `now` is one signed integer f with |f| > now, in ms, or +-INF.
f > 0: true at least on [now, f). f < 0: false at least on [now, -f). INF: only new input can change it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from segments.rules import paths
from segments.rules.aggregates import Aggregate
from segments.rules.compare import Comparator
from segments.rules.dates import When
from segments.rules.rows import Facts
from segments.rules.windows import Span

Value = Callable[[Facts, int], int]
Moves = Callable[[Facts, int], Mapping[str, int]]  # as polarity, but of one more event that happens at this instant
Settled = Value  # INF or -INF where that is the value, whatever the events and the instant; else 0


class Need(NamedTuple):
    """Which events a leaf has to see.

    name: "*" for those of all names; since: the oldest age in ms (None: retention); limit: this many of the newest
    decide (None: all); props, context: the top-level keys that are looked at; oldest: the oldest decides too.
    """

    name: str
    since: int | None
    limit: int | None
    props: frozenset[str] = frozenset()
    context: frozenset[str] = frozenset()
    oldest: bool = False


class Leaf(NamedTuple):
    """polarity: +1 if one more event of that name can only make the leaf true, -1 if only false, 0 if either.

    steady: its value is INF or -INF, and neither events nor time can change it.
    moves: None where polarity says it; 0 there: it does not move the leaf at once, or that cannot be said.
    """

    value: Value
    needs: tuple[Need, ...] = ()
    polarity: Mapping[str, int] = {}
    traits: bool = False
    steady: bool = False
    moves: Moves | None = None


class Language(NamedTuple):
    """The tables that give the words of a rule their meaning."""

    comparators: Mapping[str, Comparator]
    dates: Mapping[str, Callable[[int], When]]
    aggregates: Mapping[str, Aggregate]
    windows: Mapping[type, Callable[[Any], Span]]
    leaves: "Mapping[type, Callable[[Any, Language], Leaf]]"


def keys_of(looked_at: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The top-level keys of properties and of context among which those paths are found."""
    found: dict[str, frozenset[str]] = {"properties": frozenset(), "context": frozenset()}
    for path in looked_at:
        root, steps = paths.rooted(path)
        found[root] |= paths.top_keys(steps)
    return found["properties"], found["context"]


def merge_needs(wanted: Iterable[Iterable[Need]]) -> tuple[Need, ...]:
    """One need per name that serves all of them, sorted by name."""
    merged: dict[str, Need] = {}
    for need in (each for some in wanted for each in some):
        other = merged.setdefault(need.name, need)
        if other is not need:
            merged[need.name] = Need(
                need.name,
                _most(need.since, other.since),
                _most(need.limit, other.limit),
                need.props | other.props,
                need.context | other.context,
                need.oldest or other.oldest,
            )
    return tuple(merged[name] for name in sorted(merged))


def ahead(needs: Iterable[Need]) -> tuple[Need, ...]:
    """For who asks how long the answer lasts: when the oldest event leaves, another one is the oldest."""
    return tuple(need._replace(limit=None, oldest=False) if need.oldest else need for need in needs)


def whole(needs: Sequence[Need]) -> tuple[Need, ...]:
    """The same names and keys, but all events within the retention: for who explains, or looks ahead."""
    return tuple(need._replace(since=None, limit=None) for need in needs)


def _most(one: int | None, other: int | None) -> int | None:
    """The greater, where None is beyond all."""
    return None if one is None or other is None else max(one, other)
