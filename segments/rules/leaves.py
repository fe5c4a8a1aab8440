"""All kinds of leaves, each one row of LEAVES, and the language as it is."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from persona.lib.clock import parse_duration
from segments.rules import paths
from segments.rules.ages import since
from segments.rules.aggregates import AGGREGATES
from segments.rules.calendars import INF, NEVER
from segments.rules.compare import COMPARATORS
from segments.rules.dates import DATES, When, timestamp
from segments.rules.events import event
from segments.rules.leaf import Language, Leaf
from segments.rules.nodes import Bucket, Event, List, Sequence, Since, Trait
from segments.rules.nodes import Node as AnyNode
from segments.rules.rows import Facts
from segments.rules.sequences import sequence
from segments.rules.windows import WINDOWS

BUCKETS = 10_000


def trait(node: Trait, language: Language) -> Leaf:
    find = paths.lookup(paths.split(node.path) or ())
    if node.cmp in language.dates:
        return _dated(find, language.dates[node.cmp](parse_duration(node.value) or 0))
    holds = language.comparators[node.cmp].make(node.value)
    steps = paths.split(node.path) or ()
    if len(steps) == 1:  # a call less for nearly all of them
        key = steps[0].key
        return Leaf(lambda facts, _: INF if holds(facts.traits.get(key)) else NEVER, traits=True, steady=True)
    return Leaf(lambda facts, _: INF if holds(find(facts.traits)) else NEVER, traits=True, steady=True)


def _dated(find: paths.Lookup, when: When) -> Leaf:
    def value(facts: Facts, now: int) -> int:
        instant = timestamp(find(facts.traits))
        return NEVER if instant is None else when(instant, now)

    return Leaf(value, traits=True)


def bucket(node: Bucket, _: Language) -> Leaf:
    return Leaf(lambda facts, _: INF if node.from_ <= drawn(node.salt, facts.profile) < node.to else NEVER, steady=True)


def drawn(salt: str, profile: str) -> int:
    """The bucket of a profile, 0 to 9,999."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{profile}".encode()).digest()[:8], "big") % BUCKETS


def listed(node: List, _: Language) -> Leaf:
    profiles = frozenset(node.profiles)
    return Leaf(lambda facts, _: INF if facts.profile in profiles else NEVER, steady=True)


LEAVES: Mapping[type[AnyNode], Callable[[Any, Language], Leaf]] = {
    Trait: trait,
    Event: event,
    Since: since,
    Sequence: sequence,
    Bucket: bucket,
    List: listed,
}
LANGUAGE = Language(COMPARATORS, DATES, AGGREGATES, WINDOWS, LEAVES)
