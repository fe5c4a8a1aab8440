"""The operators of SegOps: what each one takes, and the comparison of ours that it is."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from segments.rules import RuleError
from segments.rules.operands import IN_VALUES, a_list, instead, number, scalar, text

Node = dict[str, Any]
Compare = Callable[[str, Any], Node]  # of a comparator and its operand: the node that compares the thing in question

MISSING = "It also holds where the property is missing; to leave those out, add a condition is_set."
ENDS = "Both ends belong to the range."
CASE = "Upper and lower case are different."
ELEMENT = "Of a list, one whole element has to be equal."


class Operator(NamedTuple):
    """takes: reads the value at a path; compare: the node, before it is negated; missing: holds for what is missing."""

    takes: Callable[[object, str], Any]
    compare: Callable[[Compare, Any], Node]
    negated: bool = False
    missing: bool = False
    notes: tuple[str, ...] = ()

    def node(self, compare: Compare, value: Any) -> Node:
        found = self.compare(compare, value)
        return {"op": "not", "of": found} if self.negated else found


def plain(cmp: str) -> Callable[[Compare, Any], Node]:
    return lambda compare, value: compare(cmp, value)


def truth(value: bool) -> Callable[[Compare, Any], Node]:
    return lambda compare, _: compare("eq", value)


def between(compare: Compare, ends: tuple[Any, Any]) -> Node:
    return {"op": "all", "of": [compare("gte", ends[0]), compare("lte", ends[1])]}


def a_scalar(given: object, path: str) -> Any:
    if given is None:
        raise RuleError(path, "null is missing: use the operator is_not_set, or is_set.")
    return scalar(given, path)


def scalars(given: object, path: str) -> list[Any]:
    items = a_list(given, path, "values", IN_VALUES)
    return [a_scalar(item, f"{path}[{index}]") for index, item in enumerate(items)]


def a_range(given: object, path: str) -> tuple[Any, Any]:
    if not isinstance(given, list) or len(given) != 2:
        raise RuleError(path, f"A range is a list of its two ends, the lower one first{instead(given)}.")
    low, high = (number(end, f"{path}[{index}]") for index, end in enumerate(given))
    if low > high:
        raise RuleError(path, "The lower end of a range comes first.")
    return low, high


def nothing(given: object, path: str) -> None:
    if given not in (None, ""):
        raise RuleError(path, f"This operator takes no value: leave it out{instead(given)}.")


OPERATORS: Mapping[str, Operator] = {
    "eq": Operator(a_scalar, plain("eq")),
    "neq": Operator(a_scalar, plain("eq"), negated=True, missing=True, notes=(MISSING,)),
    "gt": Operator(number, plain("gt")),
    "gte": Operator(number, plain("gte")),
    "lt": Operator(number, plain("lt")),
    "lte": Operator(number, plain("lte")),
    "between": Operator(a_range, between, notes=(ENDS,)),
    "not_between": Operator(a_range, between, negated=True, missing=True, notes=(ENDS, MISSING)),
    "in": Operator(scalars, plain("in")),
    "not_in": Operator(scalars, plain("in"), negated=True, missing=True, notes=(MISSING,)),
    "contains": Operator(text, plain("contains"), notes=(CASE, ELEMENT)),
    "does_not_contain": Operator(text, plain("contains"), negated=True, missing=True, notes=(CASE, ELEMENT, MISSING)),
    "starts_with": Operator(text, plain("prefix"), notes=(CASE,)),
    "is_set": Operator(nothing, plain("exists")),
    "is_not_set": Operator(nothing, plain("missing"), missing=True),
    "is_true": Operator(nothing, truth(True)),
    "is_false": Operator(nothing, truth(False)),
}
ORDER = ("eq", "neq", "gt", "gte", "lt", "lte")

# Operators that SegOps has, and why a rule cannot say them.
REFUSED: Mapping[str, str] = {
    "ends_with": (
        "A rule compares how a text begins and what it contains, not how it ends. "
        "Send the ending as a property of its own, such as email_domain, and compare that."
    ),
    "matches_regex": (
        "A rule has no regular expressions. "
        "Say it with eq, in, contains or starts_with, or send what the expression finds as a property of its own."
    ),
}
