"""Where the reading of a document stands, what it has counted so far, and how a node is read."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from segments.rules.errors import RuleError
from segments.rules.nodes import Node, Rule
from segments.rules.operands import instead

NODES = 64
DEPTH = 6
LEAVES = 16  # that look at events

Resolve = Callable[[str], object | None]  # the document of another persona of the project, by its slug


class Reading:
    """What is counted while one document is read.

    retention: how long a window may be (ms; None: not judged); trail: the slugs from the first document to this one;
    known: rules of other personas that were read already; members: those that this document refers to.
    """

    def __init__(
        self, *, retention: int | None, resolve: Resolve, trail: tuple[str, ...], known: dict[str, Rule]
    ) -> None:
        self.retention = retention
        self.resolve = resolve
        self.trail = trail
        self.known = known
        self.members: dict[str, Rule] = {}
        self.nodes = 0
        self.inlined = 0  # nodes of other personas
        self.leaves = 0


class Place(NamedTuple):
    """Where in the document we are; `ops` are the nodes that may stand here."""

    reading: Reading
    path: str
    depth: int
    ops: "Mapping[str, Callable[[Any, Place], Node]]"

    def at(self, key: str, ops: "Mapping[str, Callable[[Any, Place], Node]] | None" = None) -> "Place":
        """The place of a node below this one."""
        return Place(self.reading, f"{self.path}.{key}", self.depth + 1, ops or self.ops)


Ops = Mapping[str, Callable[[Any, Place], Node]]


def read_node(given: object, place: Place) -> Node:
    if not isinstance(given, dict):
        raise RuleError(place.path, 'A node is an object such as {"op": "all", "of": [...]}.')
    place.reading.nodes += 1
    if place.reading.nodes > NODES:
        raise RuleError(place.path, f"A rule has at most {NODES} nodes.")
    if place.depth > DEPTH:
        raise RuleError(place.path, f"A rule is at most {DEPTH} nodes deep.")
    op = given.get("op")
    read = place.ops.get(op) if isinstance(op, str) else None
    if read is None:
        raise RuleError(f"{place.path}.op", f"Here op is one of {', '.join(place.ops)}{instead(op)}.")
    return read(given, place)


def count_leaf(place: Place) -> None:
    place.reading.leaves += 1
    if place.reading.leaves > LEAVES:
        raise RuleError(place.path, f"A rule looks at events in at most {LEAVES} places.")
