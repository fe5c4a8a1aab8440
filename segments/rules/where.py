"""Conditions on a single event: what stands in `where`."""

from collections.abc import Callable, Mapping

from segments.rules.compare import Comparator
from segments.rules.nodes import All, Any_, Node, Not, Trait
from segments.rules.paths import of_row
from segments.rules.rows import Row

Matches = Callable[[Row], bool]


def compile_where(node: Node, comparators: Mapping[str, Comparator]) -> Matches:
    """A test of one event's row."""
    if isinstance(node, Trait):
        return _trait(node, comparators)
    if isinstance(node, Not):
        denied = compile_where(node.of, comparators)
        return lambda row: not denied(row)
    if not isinstance(node, All | Any_):
        raise TypeError(f"{type(node).__name__} cannot stand in where")
    parts = [compile_where(each, comparators) for each in node.of]
    if isinstance(node, All):
        return lambda row: all(part(row) for part in parts)
    return lambda row: any(part(row) for part in parts)


def where_keys(node: Node | None) -> list[str]:
    """The paths that are looked at."""
    if isinstance(node, Trait):
        return [node.path]
    if isinstance(node, Not):
        return where_keys(node.of)
    if isinstance(node, All | Any_):
        return [path for each in node.of for path in where_keys(each)]
    return []


def _trait(node: Trait, comparators: Mapping[str, Comparator]) -> Matches:
    find, holds = of_row(node.path), comparators[node.cmp].make(node.value)
    return lambda row: holds(find(row))
