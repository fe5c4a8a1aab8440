"""The conditions of SegOps: the fields of each type, and the node that it becomes."""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from persona.lib.clock import MS_PER_DAY
from segments.imports.segops_operators import OPERATORS, ORDER, REFUSED, Compare, Node, Operator, nothing
from segments.rules import RuleError
from segments.rules.operands import a_list, instead, number, tally, text

MOST_DAYS = 99_999
METRICS = ("sum", "avg", "max")
RECENCY = {"gt": ("gte", 1), "lt": ("lt", 0)}  # the comparator, and how many ms more: older than a day is 24 h and 1 ms
TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}

TRAITS = (
    "Each trait keeps its newest value by itself. "
    "In SegOps the newest context_identified event replaces all of them, so what it leaves out is missing there."
)
RETENTION = "No window: events count while they are within the project's retention, older ones do not."
NONE = "It also holds for profiles without any such event: of nothing there is 0."
NEVER = "It does not hold for profiles without such an event within the project's retention: they have no last one."
OCCURRED = "It holds only for profiles that have such an event: without one there is no latest value."
COMPUTED = "It holds only where there is a number: of nothing there is no average and no maximum."
SINCE_NOW = "All steps lie within the last days, as the events of the other conditions do."
STRICT = "Strict means that no other event of the sequence's own names lies between two steps; others may."
LIVE = "Membership follows the rule of that persona at once, not its latest computation."


class Note(NamedTuple):
    """What the rule means at a place that could be read in two ways."""

    path: str
    detail: str


class Place(NamedTuple):
    """Where a condition stands, with what all of them share."""

    path: str
    personas: Mapping[str, str]
    notes: list[Note]

    def note(self, *details: str) -> None:
        self.notes.extend(Note(self.path, detail) for detail in details)


class Condition(NamedTuple):
    """A type of condition: its fields beside `type`, and the node that it becomes."""

    needed: tuple[str, ...]
    read: Callable[[Node, Place], Node]
    allowed: tuple[str, ...] = ()


def _count(given: Node, place: Place) -> Node:
    window: Node = {}
    if given.get("window_days") is not None:
        window = {"window": {"last": days(given["window_days"], f"{place.path}.window_days")}}
    else:
        place.note(RETENTION)
    found, value = _compared(given, place, ORDER, tally)
    if TESTS[given["operator"]](0, value):
        place.note(NONE)
    return found.node(partial(_event, _event_type(given, place), **window), value)


def _recency(given: Node, place: Place) -> Node:
    if given["operator"] == "eq":
        raise RuleError(
            f"{place.path}.operator",
            "Elapsed time equals a number of days for one millisecond only. "
            "Take two conditions in its place, gt and lt, with the days between which the last event lies.",
        )
    cmp, more = RECENCY[_operator(given, place, (*RECENCY,))]
    value = days(given["window_days"], f"{place.path}.window_days", more)
    if cmp == "gte":
        place.note(NEVER)
    return {"op": "since", "event": _event_type(given, place), "which": "last", "cmp": cmp, "value": value}


def _monetary(given: Node, place: Place) -> Node:
    metric = given["metric"]
    if metric not in METRICS:
        raise RuleError(f"{place.path}.metric", f"metric is one of {', '.join(METRICS)}{instead(metric)}.")
    found, value = _compared(given, place, ORDER, number)
    compare = partial(_event, _event_type(given, place), agg={"fn": metric, "prop": _key(given, place)})
    place.note(RETENTION)
    if metric == "sum":
        if TESTS[given["operator"]](0, value):
            place.note(NONE)
        return found.node(compare, value)
    if found.missing:
        place.note(COMPUTED)
    return _guarded(found, compare, value, compare("exists", None))


def _event_property(given: Node, place: Place) -> Node:
    found, value = _compared(given, place, (*OPERATORS,))
    name = _event_type(given, place)
    place.note(RETENTION, *found.notes)
    if found.missing:
        place.note(OCCURRED)
    compare = partial(_event, name, agg={"fn": "last", "prop": _key(given, place)})
    return _guarded(found, compare, value, _event(name, "gte", 1))


def _user_property(given: Node, place: Place) -> Node:
    found, value = _compared(given, place, (*OPERATORS,))
    place.note(TRAITS, *found.notes)
    path = _key(given, place)
    return found.node(lambda cmp, value: {"op": "trait", "path": path, **_operand(cmp, value)}, value)


def _sequence(given: Node, place: Place) -> Node:
    path = f"{place.path}.events"
    names = [
        name_of_event(name, f"{path}[{at}]") for at, name in enumerate(a_list(given["events"], path, "names of events"))
    ]
    within = days(given["window_days"], f"{place.path}.window_days")
    strict = given.get("strict", False)
    if not isinstance(strict, bool):
        raise RuleError(f"{place.path}.strict", f"strict is true or false{instead(strict)}.")
    place.note(SINCE_NOW, *((STRICT,) if strict else ()))
    steps = [{"event": name} for name in names]
    node = {"op": "sequence", "steps": steps, "within": within, "window": {"last": within}}
    return {**node, "strict": True} if strict else node


def _membership(given: Node, place: Place) -> Node:
    found = OPERATORS[_operator(given, place, ("in", "not_in"))]
    segment = given["segment_id"]
    if isinstance(segment, bool) or not isinstance(segment, str | int) or str(segment) not in place.personas:
        raise RuleError(
            f"{place.path}.segment_id",
            f"Name the persona that stands for this segment: its slug in personas, by this id{instead(segment)}.",
        )
    place.note(LIVE)
    return found.node(lambda _, slug: {"op": "member", "persona": slug}, place.personas[str(segment)])


CONDITIONS: Mapping[str, Condition] = {
    "event_count": Condition(("event_type", "operator", "value"), _count, ("window_days",)),
    "recency": Condition(("event_type", "operator", "window_days"), _recency),
    "monetary": Condition(("event_type", "property", "metric", "operator", "value"), _monetary),
    "event_property": Condition(("event_type", "property", "operator"), _event_property, ("value",)),
    "user_property": Condition(("property", "operator"), _user_property, ("value",)),
    "event_sequence": Condition(("events", "window_days"), _sequence, ("strict",)),
    "segment_membership": Condition(("segment_id", "operator"), _membership),
}


def _compared(
    given: Node, place: Place, allowed: tuple[str, ...], takes: Callable[[object, str], Any] | None = None
) -> tuple[Operator, Any]:
    """The operator with its value, read as `takes` says or as the operator does."""
    name = _operator(given, place, allowed)
    found = OPERATORS[name]
    if "value" not in given and found.takes is not nothing:
        raise RuleError(f"{place.path}.value", f"{name} needs a value.")
    return found, (takes or found.takes)(given.get("value"), f"{place.path}.value")


def _operator(given: Node, place: Place, allowed: tuple[str, ...]) -> str:
    name = given["operator"]
    path = f"{place.path}.operator"
    if isinstance(name, str) and name in allowed:
        return name
    if isinstance(name, str) and name in REFUSED:
        raise RuleError(path, f"{name}: {REFUSED[name]}")
    raise RuleError(path, f"Here operator is one of {', '.join(allowed)}{instead(name)}.")


def _guarded(found: Operator, compare: Compare, value: Any, there: Node) -> Node:
    """What holds where something is missing asks besides for the event in which it could have been."""
    node = found.node(compare, value)
    return {"op": "all", "of": [there, node]} if found.missing else node


def _event(name: str, cmp: str, value: Any, **more: Any) -> Node:
    return {"op": "event", "event": name, **more, **_operand(cmp, value)}


def _operand(cmp: str, value: Any) -> Node:
    return {"cmp": cmp} if value is None else {"cmp": cmp, "value": value}


def _event_type(given: Node, place: Place) -> str:
    return name_of_event(given["event_type"], f"{place.path}.event_type")


def _key(given: Node, place: Place) -> str:
    """The path of a property: SegOps names a key, which is one key here too, even with dots in it."""
    key = text(given["property"], f"{place.path}.property")
    if '"' in key:
        raise RuleError(f"{place.path}.property", "The name of a property has no quotation marks here.")
    return f'"{key}"' if "." in key else key


def name_of_event(given: object, path: str) -> str:
    if given == "*":
        raise RuleError(path, "One event is named here; what SegOps calls * would be any event at all in a rule.")
    return text(given, path, "The name of an event")


def days(given: object, path: str, more: int = 0) -> str:
    """The duration of that many days, and `more` milliseconds."""
    length = Decimal(str(number(given, path))) * MS_PER_DAY
    if not 1 <= length <= MOST_DAYS * MS_PER_DAY or length != int(length):
        raise RuleError(path, f"This is a number of days, up to {MOST_DAYS:,}, more than 0{instead(given)}.")
    whole_days, rest = divmod(int(length) + more, MS_PER_DAY)
    seconds, ms = divmod(rest, 1_000)
    time = f"T{seconds}.{ms:03d}S" if ms else f"T{seconds}S" if seconds else ""
    return f"P{whole_days}D{time}" if whole_days else f"P{time}"
