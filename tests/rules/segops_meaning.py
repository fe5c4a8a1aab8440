"""What a segment of SegOps means, by plain definitions: no rule, no window, no leaf of ours.

It shares no code with segments.imports or segments.rules. What could be read in two ways is read as
docs/reference/segops-import.md says.
"""

from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]
Event = tuple[str, int, Json]  # name, ts, properties; oldest first
DAY = 86_400_000


class User:
    """One user at one instant, with the events of the retention and the current properties."""

    def __init__(self, events: list[Event], properties: Json, now: int, segments: Mapping[int, Json]) -> None:
        self.events, self.properties, self.now, self.segments = events, properties, now, segments

    def fired(self, name: str) -> list[Event]:
        return [event for event in self.events if event[0] == name]


def belongs(segment: Json, user: User) -> bool:
    answers = [judge(condition, user) for condition in segment["conditions"]]
    return all(answers) if segment["logic"] == "AND" else any(answers)


def judge(condition: Json, user: User) -> bool:
    return TYPES[condition["type"]](condition, user)


def event_count(condition: Json, user: User) -> bool:
    days = condition.get("window_days")
    fired = user.fired(condition["event_type"])
    recent = [event for event in fired if days is None or user.now - event[1] < days * DAY]
    return number_is(condition["operator"], len(recent), condition["value"])


def recency(condition: Json, user: User) -> bool:
    fired = user.fired(condition["event_type"])
    if not fired:
        return False
    return number_is(condition["operator"], user.now - fired[-1][1], condition["window_days"] * DAY)


def monetary(condition: Json, user: User) -> bool:
    found = [event[2].get(condition["property"]) for event in user.fired(condition["event_type"])]
    numbers = [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)]
    if not numbers and condition["metric"] != "sum":
        return False
    return number_is(condition["operator"], METRICS[condition["metric"]](numbers), condition["value"])


METRICS: dict[str, Callable[[list[Any]], Any]] = {
    "sum": lambda numbers: sum(numbers),
    "avg": lambda numbers: sum(numbers) / len(numbers),
    "max": lambda numbers: max(numbers),
}


def event_property(condition: Json, user: User) -> bool:
    fired = user.fired(condition["event_type"])
    return bool(fired) and compare(condition, fired[-1][2].get(condition["property"]))


def user_property(condition: Json, user: User) -> bool:
    return compare(condition, user.properties.get(condition["property"]))


def event_sequence(condition: Json, user: User) -> bool:
    wanted, strict = condition["events"], condition.get("strict", False)
    recent = [event[0] for event in user.events if user.now - event[1] < condition["window_days"] * DAY]
    if strict:
        own = [name for name in recent if name in wanted]
        return any(own[at : at + len(wanted)] == wanted for at in range(len(own)))
    rest = iter(recent)
    return all(name in rest for name in wanted)


def segment_membership(condition: Json, user: User) -> bool:
    return belongs(user.segments[condition["segment_id"]], user) is (condition["operator"] == "in")


TYPES: dict[str, Callable[[Json, User], bool]] = {
    "event_count": event_count,
    "recency": recency,
    "monetary": monetary,
    "event_property": event_property,
    "user_property": user_property,
    "event_sequence": event_sequence,
    "segment_membership": segment_membership,
}


def compare(condition: Json, found: Any) -> bool:
    value: Any = condition.get("value")
    match condition["operator"]:
        case "neq":
            return not same(found, value)
        case "eq":
            return same(found, value)
        case "in":
            return any(same(found, each) for each in value)
        case "not_in":
            return not any(same(found, each) for each in value)
        case "between":
            return inside(found, value)
        case "not_between":
            return not inside(found, value)
        case "contains":
            return part(found, value)
        case "does_not_contain":
            return not part(found, value)
        case "starts_with":
            return isinstance(found, str) and found[: len(value)] == value
        case "is_set":
            return found is not None
        case "is_not_set":
            return found is None
        case "is_true":
            return found is True
        case "is_false":
            return found is False
        case ordered:
            return numeric(found) and number_is(ordered, found, value)


def number_is(operator: str, found: Any, value: Any) -> bool:
    answers: dict[str, bool] = {
        "eq": found == value,
        "neq": found != value,
        "gt": found > value,
        "gte": found >= value,
        "lt": found < value,
        "lte": found <= value,
    }
    return answers[operator]


def numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(found: Any, value: Any) -> bool:
    """Two texts, two numbers, or two truth values that are equal."""
    if numeric(found) and numeric(value):
        return bool(found == value)
    return type(found) is type(value) and bool(found == value)


def inside(found: Any, ends: list[Any]) -> bool:
    return numeric(found) and bool(ends[0] <= found <= ends[1])


def part(found: Any, value: str) -> bool:
    return isinstance(found, str | list) and value in found
