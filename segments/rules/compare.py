"""Comparators: strict by JSON type, and false for whatever is missing."""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from segments.rules.dates import timestamp

Holds = Callable[[Any], bool]

MAX = 1e308  # numbers beyond are not compared: a double could not hold them
EXACT = 1e22  # up to here a double is the whole number as which it is written

# JSON's scalar types. Python's bool is an int and True == 1, so a value is never compared without its kind.
KINDS: dict[type, str] = {bool: "true or false", int: "a number", float: "a number", str: "a string"}


def kind(value: object) -> str | None:
    """The JSON type of a scalar, in words; None for null, lists and objects."""
    return KINDS.get(type(value))


def as_kept(number: int | float) -> int | float:
    """The number as PostgreSQL gives it back. It keeps digits: 1e23 is 10**23 there, a double is only close to that."""
    exact = type(number) is float and abs(number) >= EXACT and number.is_integer()
    return int(Decimal(repr(number))) if exact else number


class Comparator(NamedTuple):
    """takes: the shape of its operand, a key of `grammar.OPERANDS`; make: from the operand to the test of a value."""

    takes: str
    make: Callable[[Any], Holds]


def equal(operand: Any) -> Holds:
    wanted = kind(operand)
    return lambda value: value == operand and kind(value) == wanted


def among(operand: tuple[Any, ...]) -> Holds:
    typed = frozenset((kind(each), each) for each in operand)

    def holds(value: Any) -> bool:
        found = kind(value)
        return found is not None and (found, value) in typed

    return holds


def ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any], Holds]:
    """Two numbers. Two strings never: "10" < "9" is nobody's question, and dates have comparators of their own."""

    def make(operand: Any) -> Holds:
        if isinstance(operand, str):
            return lambda _: False
        return lambda value: type(value) in (int, float) and test(value, operand)

    return make


def contains(operand: Any) -> Holds:
    same = equal(operand)

    def holds(value: Any) -> bool:
        if isinstance(value, str):
            return isinstance(operand, str) and operand in value
        return isinstance(value, list) and any(same(each) for each in value)

    return holds


def prefix(operand: str) -> Holds:
    return lambda value: isinstance(value, str) and value.startswith(operand)


def instant(test: Callable[[int, int], bool]) -> Callable[[Any], Holds]:
    """A timestamp before or after a fixed one."""

    def make(operand: str) -> Holds:
        fixed = timestamp(operand) or 0

        def holds(value: Any) -> bool:
            found = timestamp(value)
            return found is not None and test(found, fixed)

        return holds

    return make


def exists(_: None) -> Holds:
    return lambda value: value is not None


def missing(_: None) -> Holds:
    return lambda value: value is None


COMPARATORS: Mapping[str, Comparator] = {
    "eq": Comparator("scalar", equal),
    "in": Comparator("scalars", among),
    "gt": Comparator("orderable", ordered(operator.gt)),
    "gte": Comparator("orderable", ordered(operator.ge)),
    "lt": Comparator("orderable", ordered(operator.lt)),
    "lte": Comparator("orderable", ordered(operator.le)),
    "contains": Comparator("part", contains),
    "prefix": Comparator("text", prefix),
    "before": Comparator("instant", instant(operator.lt)),
    "after": Comparator("instant", instant(operator.gt)),
    "exists": Comparator("nothing", exists),
    "missing": Comparator("nothing", missing),
}
