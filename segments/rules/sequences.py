"""The leaf `sequence`: which chains of events there are, and the stretches of time in which each of them holds.

Of all chains that end with the same event, the one whose first event is the latest holds the longest and spans the
least: it stands for all of them. So one pass over the events, oldest first, keeps one chain per step and per value of
`same`, and the answer with its end is read off the union of the stretches.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from persona.lib.clock import parse_duration
from segments.rules import paths
from segments.rules.calendars import NEVER
from segments.rules.compare import kind
from segments.rules.leaf import Language, Leaf, Need, keys_of, merge_needs
from segments.rules.nodes import Absent, Sequence, Step
from segments.rules.rows import Facts, Row, order
from segments.rules.where import Matches, compile_where, where_keys
from segments.rules.windows import Span

Key = tuple[tuple[str, Any], ...]


class Link(NamedTuple):
    """A chain: its last event so far, the links before it, and the instant of its first event."""

    row: Row
    before: "Link | None"
    first: int


UNLINKED: Mapping[int, Link] = {}


class Stretch(NamedTuple):
    """From this instant on and until before that one, a chain holds."""

    start: int
    end: int
    chain: Link


class Steps:
    """A sequence, ready to be looked for."""

    def __init__(self, node: Sequence, language: Language) -> None:
        self.span: Span = language.windows[type(node.window)](node.window)
        self.within = parse_duration(node.within) or 0
        self.strict = node.strict
        self.last = len(node.steps) - 1
        self.matches = [_matches(step, language) for step in node.steps]
        self.by_name: dict[str, list[int]] = {}  # the steps that an event could be
        for index, step in enumerate(node.steps):
            self.by_name.setdefault(step.event, []).append(index)
        self.absent = node.absent
        self.absent_within = parse_duration(node.absent.within) or 0 if node.absent else 0
        self.absent_matches = _matches(node.absent, language) if node.absent else None
        self.names = {*self.by_name, *((node.absent.event,) if node.absent else ())}
        self._same = [paths.of_row(path) for path in node.same]

    def stretches(self, facts: Facts, now: int) -> Iterator[Stretch]:
        """Every stretch that ends after `now`, in the order of the chains' last events."""
        after, _ = self.span.bounds(now, facts.retention)
        rows = _in_order(facts, self.names, after)
        spoilers = self._spoilers(rows) if self.absent else {}
        for chain in self._chains(rows):
            if spoilers and self._spoiled(chain.row, spoilers):
                continue
            start = max(self.span.enters(chain.row.ts), chain.row.ts + self.absent_within)
            end = self.span.leaves(chain.first, facts.retention)
            if start < end and end > now:
                yield Stretch(start, end, chain)

    def _chains(self, rows: Iterable[tuple[str, Row]]) -> Iterator[Link]:
        """For every event that completes a chain, the best one."""
        open_: dict[Key, Mapping[int, Link]] = {}  # by `same`: the best chain that ends with that step
        by_name, last, strict = self.by_name, self.last, self.strict
        for name, row in rows:
            steps = by_name.get(name)
            if steps is None:
                continue
            key = self._key(row) if self._same else ()
            links = UNLINKED if key is None else self._extended(row, steps, open_.get(key, UNLINKED))
            if last in links:
                yield links[last]
            if strict:
                open_ = {}
            if links and key is not None:
                open_[key] = {**open_[key], **links} if key in open_ else links

    def _extended(self, row: Row, steps: Iterable[int], open_: Mapping[int, Link]) -> Mapping[int, Link]:
        """The chains that this event begins or carries on; they are looked at before any of them is stored."""
        links = {}
        for step in steps:
            before = open_.get(step - 1)
            if step and (before is None or row.ts - before.first > self.within):
                continue
            matches = self.matches[step]
            if matches is None or matches(row):
                links[step] = Link(row, before, before.first if before else row.ts)
        return links

    def _spoilers(self, rows: Iterable[tuple[str, Row]]) -> dict[Key, list[tuple[int, bytes]]]:
        """The events that must not follow, by `same`, oldest first."""
        found: dict[Key, list[tuple[int, bytes]]] = {}
        for name, row in rows:
            if self.absent is None or name != self.absent.event:
                continue
            if self.absent_matches is None or self.absent_matches(row):
                key = self._key(row)
                if key is not None:
                    found.setdefault(key, []).append(order(row))
        return found

    def _spoiled(self, row: Row, spoilers: Mapping[Key, list[tuple[int, bytes]]]) -> bool:
        following = spoilers.get(self._key(row) or (), ())
        at = bisect_right(following, order(row))
        return at < len(following) and following[at][0] < row.ts + self.absent_within

    def _key(self, row: Row) -> Key | None:
        """The values of `same`; None where one of them is missing, or is no scalar."""
        if not self._same:
            return ()
        found = []
        for read in self._same:
            value = read(row)
            type_ = kind(value)
            if type_ is None:
                return None
            found.append((type_, value))
        return tuple(found)


def sequence(node: Sequence, language: Language) -> Leaf:
    steps = Steps(node, language)
    needed = tuple(steps.by_name)

    def value(facts: Facts, now: int) -> int:
        events = facts.events
        for name in needed:
            if not events.get(name):
                return NEVER
        return reach(steps.stretches(facts, now), now)

    def moves(facts: Facts, now: int) -> dict[str, int]:
        after, upto = steps.span.bounds(now, facts.retention)
        return _moves(node, matched=value(facts, now) > 0, counts=after < now <= upto)

    return Leaf(value, _needs(node, steps.span.age), _polarity(node), moves=moves)


def reach(stretches: Iterable[Stretch], now: int) -> int:
    """f of the union of the stretches."""
    until = now
    for start, end, _ in sorted(stretches, key=itemgetter(0)):
        if start > until:
            return until if until > now else -start
        until = max(until, end)
    return until if until > now else NEVER


def _in_order(facts: Facts, names: Iterable[str], after: int) -> list[tuple[str, Row]]:
    """The events of those names later than `after`, oldest first."""
    found = []
    for name in names:
        for row in facts.events.get(name, ()):
            if row.ts <= after:
                break
            found.append((row.ts, row.uid, name, row))
    found.sort(key=itemgetter(0, 1))
    return [(name, row) for _, _, name, row in found]


def _matches(step: Step | Absent, language: Language) -> Matches | None:
    return compile_where(step.where, language.comparators) if step.where else None


def _needs(node: Sequence, age: int | None) -> tuple[Need, ...]:
    looked_at = (*node.steps, *((node.absent,) if node.absent else ()))
    return merge_needs(
        (Need(step.event, age, None, *keys_of([*where_keys(step.where), *node.same])),) for step in looked_at
    )


def _moves(node: Sequence, *, matched: bool, counts: bool) -> dict[str, int]:
    """An event of now is a whole chain where there is but one step, if nothing has to stay away behind it first; what
    has to stay away spoils only a chain that waits."""
    alone = len(node.steps) == 1 and counts and (matched or not node.absent)
    found = {step.event: 1 if alone else 0 for step in node.steps}
    if node.absent:
        found[node.absent.event] = 0 if node.absent.event in found or matched else -1
    return found


def _polarity(node: Sequence) -> dict[str, int]:
    """One more step can only make another chain, unless it may lie between two; what must be absent can only spoil."""
    found = {step.event: 0 if node.strict else 1 for step in node.steps}
    if node.absent:
        found[node.absent.event] = 0 if node.absent.event in found else -1
    return found
