"""The rule language by its plain definitions: every node from the raw list of events, no trick, no reuse.

It reads the JSON document itself and shares no code with segments.rules.
"""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]
Event = tuple[str, int, bytes, Json, Json]  # name, ts, uid, properties, context; in any order

UNITS = {"D": 86_400_000, "H": 3_600_000, "M": 60_000, "S": 1_000}


class World:
    """One profile at one instant."""

    def __init__(
        self,
        events: list[Event],
        *,
        now: int,
        traits: Json | None = None,
        identified: bool = False,
        retention: int,
        personas: Mapping[str, Json] | None = None,
    ) -> None:
        self.events = [event for event in events if event[1] <= now and now - event[1] < retention]
        self.profile = "u_0"
        self.now, self.traits, self.identified = now, traits or {}, identified
        self.personas = personas or {}


def member(document: Json, world: World) -> bool:
    if document.get("identified_only") and not world.identified:
        return False
    return holds(document["rule"], world)


def holds(node: Json, world: World) -> bool:
    match node["op"]:
        case "all":
            return all(holds(each, world) for each in node["of"])
        case "any":
            return any(holds(each, world) for each in node["of"])
        case "not":
            return not holds(node["of"], world)
        case "trait":
            return compare_at(find(world.traits, keys(node["path"])), node, world.now)
        case "event":
            return compare_at(aggregate(node, world), node, world.now)
        case "since":
            rows = [
                event[1]
                for event in world.events
                if node["event"] in ("*", event[0]) and ("where" not in node or fits(node["where"], event))
            ]
            if not rows:
                return bool(node.get("if_never", False))
            age = world.now - (max(rows) if node["which"] == "last" else min(rows))
            return (age >= milliseconds(node["value"])) is (node["cmp"] == "gte")
        case "bucket":
            digest = hashlib.sha256((node["salt"] + ":" + world.profile).encode()).hexdigest()
            return bool(node["from"] <= int(digest[:16], 16) % 10_000 < node["to"])
        case "list":
            return world.profile in node["profiles"]
        case "member":
            return member(world.personas[node["persona"]], world)
        case "sequence":
            return any(complete(node, chain, world) for chain in chains(node, world))
    raise AssertionError(node)


def compare_at(found: Any, node: Json, now: int) -> bool:
    if node["cmp"] in ("older_than", "newer_than", "within_next"):
        return in_time(found, node["cmp"], milliseconds(node["value"]), now)
    return compare(found, node["cmp"], node.get("value"))


def in_time(found: Any, cmp: str, length: int, now: int) -> bool:
    t = timestamp(found)
    if t is None:
        return False
    return {
        "older_than": now - t >= length,
        "newer_than": 0 <= now - t < length,
        "within_next": 0 <= t - now < length,
    }[cmp]


def timestamp(found: Any) -> int | None:
    if isinstance(found, str):
        try:
            moment = datetime.fromisoformat(found)
        except ValueError:
            return None
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
    if not is_number(found):
        return None
    t: int = round(found if found >= 1e11 else found * 1_000)
    return t


def chains(node: Json, world: World, before: tuple[Event, ...] = ()) -> Iterator[tuple[Event, ...]]:
    """Every way to choose different events, each matching its step and later than the one before."""
    if len(before) == len(node["steps"]):
        yield before
        return
    step = node["steps"][len(before)]
    for event in world.events:
        later = not before or (before[-1][1], before[-1][2]) < (event[1], event[2])
        if later and event[0] == step["event"] and ("where" not in step or fits(step["where"], event)):
            yield from chains(node, world, (*before, event))


def complete(node: Json, chain: tuple[Event, ...], world: World) -> bool:
    first, last = chain[0], chain[-1]
    if last[1] - first[1] > milliseconds(node["within"]):
        return False
    if not all(inside(node, event[1], world.now) for event in chain):
        return False
    if not all(alike(node, first, event) for event in chain):
        return False
    if node.get("strict") and any(
        between(one, event, other) and event[0] in [step["event"] for step in node["steps"]]
        for one, other in itertools.pairwise(chain)
        for event in world.events
    ):
        return False
    if "absent" not in node:
        return True
    absent = node["absent"]
    until = last[1] + milliseconds(absent["within"])
    return world.now >= until and not any(
        event[0] == absent["event"]
        and ("where" not in absent or fits(absent["where"], event))
        and (last[1], last[2]) < (event[1], event[2])
        and event[1] < until
        and alike(node, first, event)
        for event in world.events
    )


def between(one: Event, event: Event, other: Event) -> bool:
    return (one[1], one[2]) < (event[1], event[2]) < (other[1], other[2])


def alike(node: Json, one: Event, other: Event) -> bool:
    return all(same(find_in(path, one), find_in(path, other)) for path in node.get("same", ()))


def aggregate(node: Json, world: World) -> Any:
    agg = node.get("agg", {"fn": "count"})
    rows = [event for event in world.events if event[0] == node["event"] and inside(node, event[1], world.now)]
    rows = [event for event in rows if "where" not in node or fits(node["where"], event)]
    if agg["fn"] == "count":
        return len(rows)
    values = [find_in(agg["prop"], event) for event in sorted(rows, key=lambda event: (event[1], event[2]))]
    numbers = [value for value in values if is_number(value)]
    functions: dict[str, Callable[[], Any]] = {
        "sum": lambda: add(numbers),
        "avg": lambda: add(numbers) / len(numbers) if numbers else None,
        "min": lambda: min(numbers, default=None),
        "max": lambda: max(numbers, default=None),
        "distinct": lambda: len({scalar(value) for value in values if scalar(value)}),
        "first": lambda: values[0] if values else None,
        "last": lambda: values[-1] if values else None,
    }
    return functions[agg["fn"]]()


def inside(node: Json, ts: int, now: int) -> bool:
    match node.get("window"):
        case None:
            return True
        case {"last": age}:
            return 0 <= now - ts < milliseconds(age)
        case {"between": [old, young]}:
            return milliseconds(young) <= now - ts < milliseconds(old)
        case {"from": start, "to": end}:
            return instant(start) <= ts < instant(end)
        case {"calendar": unit, "back": back, "tz": tz}:
            return period(unit, ts, tz) == earlier(unit, period(unit, now, tz), back)
    raise AssertionError(node)


def period(unit: str, ts: int, tz: str) -> date:
    """The first date of the local day, week or month."""
    day = datetime.fromtimestamp(ts // 1_000, ZoneInfo(tz)).date()
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[unit]


def earlier(unit: str, first: date, back: int) -> date:
    for _ in range(back):
        first -= timedelta(days=7 if unit == "week" else 1)
        first = first.replace(day=1) if unit == "month" else first
    return first


def fits(node: Json, event: Event) -> bool:
    match node["op"]:
        case "all":
            return all(fits(each, event) for each in node["of"])
        case "any":
            return any(fits(each, event) for each in node["of"])
        case "not":
            return not fits(node["of"], event)
    return compare(find_in(node["path"], event), node["cmp"], node.get("value"))


def compare(found: Any, cmp: str, value: Any) -> bool:
    if cmp in ("exists", "missing"):
        return (found is None) is (cmp == "missing")
    if cmp == "eq":
        return same(found, value)
    if cmp == "in":
        return any(same(found, each) for each in value)
    if cmp in ("before", "after"):
        t = timestamp(found)
        return t is not None and (t < instant(value) if cmp == "before" else t > instant(value))
    if cmp == "prefix":
        return isinstance(found, str) and found.startswith(value)
    if cmp == "contains":
        if isinstance(found, list):
            return any(same(each, value) for each in found)
        return isinstance(found, str) and isinstance(value, str) and value in found
    if not (is_number(found) and is_number(value)):
        return False
    return bool({"gt": found > value, "gte": found >= value, "lt": found < value, "lte": found <= value}[cmp])


def same(one: Any, other: Any) -> bool:
    return scalar(one) is not None and scalar(one) == scalar(other)


def scalar(value: Any) -> str | None:
    """A text that two scalars share iff they are equal and of one JSON type."""
    if is_number(value):
        return f"number {int(value) if value == int(value) else value!r}"
    return json.dumps(value) if isinstance(value, bool | str) else None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def add(numbers: list[Any]) -> Any:
    return sum(numbers) if all(isinstance(number, int) for number in numbers) else math.fsum(numbers)


def find_in(path: str, event: Event) -> Any:
    steps = keys(path)
    if len(steps) > 1 and path.startswith("context."):
        return find(event[4], steps[1:])
    if len(steps) > 1 and path.startswith("properties."):
        return find(event[3], steps[1:])
    return find(event[3], steps)


def keys(path: str) -> list[str]:
    """The keys; quoted ones keep their quotes."""
    return re.findall(r'"[^"]+"|[^".]+', path)


def find(inside_: Any, steps: list[str]) -> Any:
    if not isinstance(inside_, dict):
        return None
    if not any(step.startswith('"') for step in steps) and inside_.get(".".join(steps)) is not None:
        return inside_[".".join(steps)]
    inner = inside_.get(steps[0].strip('"'))
    return inner if len(steps) == 1 else find(inner, steps[1:])


def instant(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def milliseconds(duration: str) -> int:
    return round(sum(float(n) * UNITS[unit] for n, unit in re.findall(r"([\d.]+)([DHMS])", duration)))
