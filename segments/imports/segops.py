"""A segment of SegOps, `{"logic": "AND" | "OR", "conditions": [...]}`, as a rule: what it says, or a refusal.

Whatever has one meaning becomes a rule of that meaning. What could be read in two ways is read in one of them, and a
note says which. What a rule cannot say is refused, by the path of the condition.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from segments.imports.segops_conditions import CONDITIONS, Note, Place
from segments.imports.segops_operators import Node
from segments.rules import RuleError, parse
from segments.rules.operands import a_list, instead, record

LOGIC = {"AND": "all", "OR": "any"}


class Imported(NamedTuple):
    """The rule's document, and what to know of it."""

    rule: Node
    notes: tuple[Note, ...]


def to_rule(
    document: object,
    *,
    personas: Mapping[str, str] | None = None,
    retention: int | None = None,
    resolve: Callable[[str], object | None] | None = None,
) -> Imported:
    """The rule that says what `document` (decoded JSON) says.

    personas: slugs by the ids of segments, for segment_membership; retention (ms) and resolve as for `rules.parse`:
    what comes back can be saved. Raises RuleError, its path within their document: `conditions[2].operator`.
    """
    given = record(document, "", needed=("logic", "conditions"), what="a segment")
    if given["logic"] not in ("AND", "OR"):
        raise RuleError("logic", f"logic is AND or OR{instead(given['logic'])}.")
    notes: list[Note] = []
    nodes = [
        _condition(one, Place(f"conditions[{index}]", personas or {}, notes))
        for index, one in enumerate(a_list(given["conditions"], "conditions", "conditions"))
    ]
    rule = {"v": 1, "rule": {"op": LOGIC[given["logic"]], "of": nodes}, "identified_only": False}
    try:
        parse(rule, retention=retention, resolve=resolve)
    except RuleError as error:
        raise RuleError(_theirs(error.path), f"A rule cannot say this. {error.detail}") from None
    return Imported(rule, tuple(notes))


def _theirs(path: str) -> str:
    """The condition that a node comes from."""
    found = re.match(r"rule\.of(\[\d+\])", path)
    return f"conditions{found[1]}" if found else "conditions"


def _condition(given: object, place: Place) -> Node:
    type_ = given.get("type") if isinstance(given, dict) else None
    if not isinstance(type_, str) or type_ not in CONDITIONS:
        path = f"{place.path}.type" if isinstance(given, dict) else place.path
        raise RuleError(path, f"The type of a condition is one of {', '.join(CONDITIONS)}{instead(type_)}.")
    kind = CONDITIONS[type_]
    fields = record(
        given, place.path, needed=("type", *kind.needed), allowed=kind.allowed, what=f"a condition {type_!r}"
    )
    return kind.read(fields, place)
