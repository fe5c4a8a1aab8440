"""What a rule is judged on: a profile, its traits, and its events, newest first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from persona.lib.clock import MS_PER_DAY

RETENTION = 400 * MS_PER_DAY  # the default of a project
Json = dict[str, Any]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One event. ts: ms; properties and context hold at least the top-level keys that the rules look at."""

    ts: int
    uid: bytes
    properties: Json = {}
    context: Json = {}


class Facts(msgspec.Struct, frozen=True, gc=False):
    """All that rules need to know of one profile.

    profile: public id; events: per name, newest first by (ts, uid), and under "*" those of all names together, where
    a rule looks at any event at all; retention: ms that events count at all;
    capped: names of which older rows were left out because there are too many; merged_into: the survivor's id.
    """

    profile: str
    identified: bool
    traits: Json
    events: Mapping[str, Sequence[Row]]
    retention: int
    capped: frozenset[str] = frozenset()
    merged_into: int | None = None


# (ts, uid) is the order of events everywhere.
order: Callable[[Row], tuple[int, bytes]] = attrgetter("ts", "uid")


def rows_of(facts: Facts, name: str) -> Sequence[Row]:
    """The events of a name, or of all names for "*"; newest first."""
    rows = facts.events.get(name)
    if rows is None and name == "*":
        return sorted((row for rows in facts.events.values() for row in rows), key=order, reverse=True)
    return rows or ()


def facts_from(
    events: Iterable[tuple[str, Row]] = (),
    *,
    profile: str = "u_0",
    identified: bool = False,
    traits: Json | None = None,
    retention: int = RETENTION,
) -> Facts:
    """Facts from a plain list of (name, row), in any order."""
    by_name: dict[str, list[Row]] = {}
    for name, row in events:
        by_name.setdefault(name, []).append(row)
    for rows in by_name.values():
        rows.sort(key=order, reverse=True)
    return Facts(profile, identified, traits or {}, by_name, retention)
