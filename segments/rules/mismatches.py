"""Values of another JSON type than a comparison is about: it is false for them, which is seldom what was meant."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from segments.rules.compare import kind
from segments.rules.dates import DATES, timestamp
from segments.rules.nodes import All, Any_, Node, Not, Trait
from segments.rules.paths import of_row
from segments.rules.rows import Row


def of_value(cmp: str, operand: Any, value: Any) -> bool:
    """Whether a value that is there could not be compared at all."""
    return value is not None and MISFITS[cmp](operand, value)


def in_where(node: Node | None, row: Row) -> bool:
    """Whether a condition on an event came upon such a value."""
    return any(of_value(each.cmp, each.value, of_row(each.path)(row)) for each in _conditions(node))


def _conditions(node: Node | None) -> Iterator[Trait]:
    if isinstance(node, Trait):
        yield node
    elif isinstance(node, Not):
        yield from _conditions(node.of)
    elif isinstance(node, All | Any_):
        for each in node.of:
            yield from _conditions(each)


def _other_kind(operand: Any, value: Any) -> bool:
    return kind(value) != kind(operand)


def _holds_nothing(operand: Any, value: Any) -> bool:
    return not isinstance(operand, str) if isinstance(value, str) else not isinstance(value, list)


def _no_instant(_: Any, value: Any) -> bool:
    return timestamp(value) is None


MISFITS: Mapping[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("eq", "gt", "gte", "lt", "lte"), _other_kind),
    "in": lambda operand, value: kind(value) not in {kind(each) for each in operand},
    "contains": _holds_nothing,
    "prefix": lambda _, value: not isinstance(value, str),
    "exists": lambda _, value: False,
    "missing": lambda _, value: False,
    **dict.fromkeys(("before", "after", *DATES), _no_instant),
}
