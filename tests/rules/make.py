"""Random small worlds: a few instants with many ties, few names, values of every JSON type."""

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from persona.lib.clock import milliseconds, rfc3339
from segments.rules import Facts, Row, facts_from
from tests.rules.oracle import Event, Json

NAMES = ("a", "b", "c")
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    1.0,
    2,
    2.5,
    -3,
    "",
    "1",
    "x",
    "xy",
    [1, "x"],
    {"c": 1},
    0.1,
    0.2,
    0.7,
)
CARTS = (1, 1, 1, 1, 1.0, 2, 2, True, "1", None, [1])  # what events of one sequence share, mostly
SCALARS = tuple(value for value in VALUES if value is not None and not isinstance(value, list | dict))
NUMBERS = (-3, 0, 0.3, 1, 1.0, 2, 2.5, 4)
PATHS = ("p", "q", "q.c", "context.p", "properties.p", '"q.c"')
ORDERED = ("gt", "gte", "lt", "lte")
DATED = ("older_than", "newer_than", "within_next")
STEPS = (-10, -3, -1, 0, 1, 3, 10, 30)  # of timestamps away from now: so far as durations reach, so that edges are met
PROFILE = "u_0"


class Scale(NamedTuple):
    """How wide the world is: all durations are multiples of a unit; in ms."""

    now: int
    unit: int

    @property
    def retention(self) -> int:
        return 24 * self.unit

    def age(self, units: int) -> str:
        return f"PT{units * self.unit // 1_000}.{units * self.unit % 1_000:03d}S"

    def instants(self, until: int, apart: int = 3) -> Iterator[int]:
        """`now`, a few instants on the way, so many units apart, and the last before `until`."""
        steps = range(self.now + apart * self.unit, min(until, self.now + 40 * self.unit), apart * self.unit)
        yield from sorted({self.now, *steps, until - 1})


FINE = Scale(1_780_000_000_000, 1)
NOW, RETENTION = FINE.now, FINE.retention
HOURS = 3 * 3_600_000
ZONES = ("UTC", "Europe/Istanbul", "Europe/Berlin", "America/New_York", "America/Havana", "Pacific/Auckland")
# Days with changes of the clocks, of the week, of the month, of the year; and one on which there is no midnight.
DAYS = ("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-12-31", "2024-02-29", "2026-06-01")


def scale(rnd: random.Random) -> Scale:
    """Mostly milliseconds; sometimes hours, around a date on which calendars do something."""
    if rnd.random() < 0.8:
        return FINE
    day = milliseconds(datetime.fromisoformat(rnd.choice(DAYS)).replace(tzinfo=UTC))
    return Scale(day + rnd.randrange(-8, 24) * 3_600_000 + rnd.choice((0, 0, -1, 1)), HOURS)


def midnights(of: Scale, rnd: random.Random) -> int:
    """A local midnight not long before now, or a millisecond beside it."""
    zone = ZoneInfo(rnd.choice(ZONES))
    day = datetime.fromtimestamp(of.now // 1_000, zone).date() - timedelta(days=rnd.randrange(3))
    midnight = milliseconds(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))
    return min(of.now, midnight + rnd.choice((-1, 0, 0, 1)))


def event(rnd: random.Random, of: Scale, *, future: bool) -> Event:
    """One event before now, or later than that if `future`."""
    offset = rnd.choice((2, 2, 5, -1, -4) if future and rnd.random() < 0.3 else (0, 0, *range(-30, 0)))
    ts = of.now + offset * of.unit
    if of.unit > 1 and rnd.random() < 0.4:
        ts = midnights(of, rnd)
    return rnd.choice("aaabbc"), ts, rnd.randbytes(3), *properties(rnd, of)


def events(rnd: random.Random, of: Scale = FINE, *, future: bool) -> list[Event]:
    """Up to 15 of them, no two with the same uid."""
    found = [event(rnd, of, future=future) for _ in range(rnd.randrange(16))]
    return [(name, ts, bytes([index]) + uid, *more) for index, (name, ts, uid, *more) in _shuffled(rnd, found)]


def _shuffled(rnd: random.Random, found: list[Event]) -> list[tuple[int, Any]]:
    return list(zip(rnd.sample(range(100), len(found)), found, strict=True))


def facts(events_: list[Event], traits: Json, *, identified: bool, of: Scale = FINE) -> Facts:
    rows = [(name, Row(ts, uid, properties, context)) for name, ts, uid, properties, context in events_]
    return facts_from(rows, profile=PROFILE, identified=identified, traits=traits, retention=of.retention)


def properties(rnd: random.Random, of: Scale) -> tuple[Json, Json]:
    """Of an event: its properties, mostly with an instant among them, and its context."""
    return _object(rnd) | ({"t": _timestamp(rnd, of)} if rnd.random() < 0.8 else {}), _object(rnd)


def traits(rnd: random.Random, of: Scale = FINE) -> Json:
    return {**_object(rnd), **{key: _timestamp(rnd, of) for key in ("t", "p") if rnd.random() < 0.5}}


def _timestamp(rnd: random.Random, of: Scale) -> Any:
    instant = of.now + rnd.choice((*STEPS, rnd.randrange(-30, 30))) * of.unit
    return rnd.choice(WRITTEN)(instant)


def _moment(instant: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)


# How an instant may be written, and what is none.
WRITTEN: tuple[Callable[[int], Any], ...] = (
    rfc3339,
    lambda instant: instant,
    lambda instant: instant // 1_000,
    lambda instant: _moment(instant).replace(tzinfo=None).isoformat(timespec="milliseconds"),
    lambda instant: _moment(instant).astimezone(ZoneInfo("Europe/Istanbul")).isoformat(timespec="milliseconds"),
    lambda _: "tomorrow",
)


def document(rnd: random.Random, of: Scale = FINE, members: tuple[str, ...] = (), op: str = "") -> Json:
    """members: the slugs of other personas; op: what the rule consists of, "" for anything."""
    rules = Rules(rnd, of, members)
    rule = getattr(rules, op)() if op else rules.sequence() if rnd.random() < 0.15 else rules.node(0)
    return {"v": 1, "rule": rule, "identified_only": rnd.random() < 0.1}


def passes(node: Any) -> bool:
    """Whether there is an event node in it whose aggregate is an instant, compared with now."""
    if isinstance(node, dict) and node.get("op") == "event" and node["cmp"] in DATED:
        return True
    return any(map(passes, node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()))


def personas(rnd: random.Random, of: Scale = FINE) -> Mapping[str, Json]:
    """Two personas, of which the second may refer to the first."""
    if rnd.random() < 0.7:
        return {}
    return {"one": document(rnd, of), "two": document(rnd, of, ("one",))}


def _object(rnd: random.Random) -> Json:
    found = {key: rnd.choice(VALUES) for key in ("p", "q", "q.c") if rnd.random() < 0.7}
    return {**found, "k": rnd.choice(CARTS)}


class Rules:
    """Random nodes."""

    def __init__(self, rnd: random.Random, of: Scale, members: tuple[str, ...]) -> None:
        self.rnd, self.of, self.members = rnd, of, members

    def node(self, depth: int) -> Json:
        ops = ["event", "event", "event", "since", "sequence", "sequence", "trait", "bucket", "list"]
        ops += ["all", "any", "not"] * (depth < 2) + ["member"] * 3 * bool(self.members)
        op = self.rnd.choice(ops)
        if op in ("all", "any"):
            return {"op": op, "of": [self.node(depth + 1) for _ in range(self.rnd.randint(1, 3))]}
        if op == "not":
            return {"op": op, "of": self.node(depth + 1)}
        made: Json = getattr(self, op)()
        return made

    def maybe(self, chance: float) -> bool:
        return self.rnd.random() < chance

    def trait(self) -> Json:
        if self.maybe(0.4):
            return {"op": "trait", "path": self.rnd.choice(("t", "t", "p")), **self.dated()}
        return self.condition(("p", "q", "q.c", '"q.c"'))

    def dated(self) -> Json:
        cmp = self.rnd.choice((*DATED, "before", "after"))
        return self.relative(cmp) if cmp in DATED else self.fixed(cmp)

    def relative(self, cmp: str) -> Json:
        return {"cmp": cmp, "value": self.of.age(self.rnd.choice((1, 3, 10, 30)))}

    def fixed(self, cmp: str) -> Json:
        return {"cmp": cmp, "value": rfc3339(self.of.now + self.rnd.choice(STEPS) * self.of.unit)}

    def member(self) -> Json:
        return {"op": "member", "persona": self.rnd.choice(self.members)}

    def list(self) -> Json:
        return {"op": "list", "profiles": self.rnd.sample((PROFILE, "u_1", "u_2"), 2)}

    def bucket(self) -> Json:
        return {"op": "bucket", "salt": self.rnd.choice("abcdef"), "from": 0, "to": 5_000}

    def condition(self, paths: tuple[str, ...]) -> Json:
        cmp = self.rnd.choice(("eq", "eq", "in", *ORDERED, "contains", "prefix", "exists", "missing"))
        return {"op": "trait", "path": self.rnd.choice(paths), "cmp": cmp, **self.value(cmp)}

    def value(self, cmp: str) -> Json:
        if cmp in ("exists", "missing"):
            return {}
        if cmp == "in":
            return {"value": self.rnd.sample(SCALARS, self.rnd.randint(1, 3))}
        if cmp == "prefix":
            return {"value": self.rnd.choice(("x", "xy", "1"))}
        choices = [value for value in SCALARS if value != "" and (cmp not in ORDERED or not isinstance(value, bool))]
        return {"value": self.rnd.choice(choices)}

    def where(self, depth: int = 0) -> Json:
        op = self.rnd.choice(("trait", "trait", "trait", "all", "any", "not")) if depth < 1 else "trait"
        if op in ("all", "any"):
            return {"op": op, "of": [self.where(depth + 1) for _ in range(self.rnd.randint(1, 2))]}
        return {"op": op, "of": self.where(depth + 1)} if op == "not" else self.condition(PATHS)

    def event(self) -> Json:
        node: Json = {"op": "event", "event": self.rnd.choice(NAMES[:2])}
        if self.maybe(0.35):
            node["where"] = self.where()
        if self.maybe(0.75):
            node["window"] = self.window()
        fn = self.rnd.choice(("count", "count", "count", "sum", "avg", "min", "max", "distinct", "first", "last"))
        if fn in ("first", "last") and self.maybe(0.5):
            return node | self.moving(fn)
        node.update(self.comparison(fn))
        if fn != "count":
            node["agg"] = {"fn": fn, "prop": self.rnd.choice(PATHS)}
        return node

    def moving(self, fn: str) -> Json:
        """An instant that the first or last event names, and how far that is from now."""
        prop = self.rnd.choice(("t", "t", "t", "t", "properties.t", "p"))
        return {"agg": {"fn": fn, "prop": prop}, **self.relative(self.rnd.choice(DATED))}

    def passing(self) -> Json:
        """A node that moves by its window and by its date, mostly alone."""
        node: Json = {"op": "event", "event": self.rnd.choice("aab"), **self.moving(self.rnd.choice(("first", "last")))}
        if self.maybe(0.15):
            node["where"] = self.where()
        if self.maybe(0.6):
            node["window"] = self.window()
        node = {"op": "not", "of": node} if self.maybe(0.3) else node
        return {"op": self.rnd.choice(("all", "any")), "of": [node, self.node(1)]} if self.maybe(0.2) else node

    def comparison(self, fn: str) -> Json:
        if fn in ("first", "last"):
            if self.maybe(0.1):
                return self.fixed(self.rnd.choice(("before", "after")))
            return {key: value for key, value in self.condition(PATHS).items() if key in ("cmp", "value")}
        cmp = self.rnd.choice(("eq", "in", *ORDERED, *ORDERED))
        if fn in ("avg", "min", "max") and self.maybe(0.2):
            return {"cmp": self.rnd.choice(("exists", "missing"))}
        values = tuple(range(5)) if fn in ("count", "distinct") else NUMBERS
        return {"cmp": cmp, "value": list(self.rnd.sample(values, 2)) if cmp == "in" else self.rnd.choice(values)}

    def window(self) -> Json:
        kinds = ("last", "last", "last", "between", "from") if self.of.unit == 1 else ("calendar", "calendar", "last")
        kind = self.rnd.choice(kinds)
        if kind == "last":
            return {"last": self.of.age(self.rnd.choice((1, 3, 7, 10, 30)))}
        if kind == "calendar":
            unit = self.rnd.choice(("day", "day", "week", "month"))
            return {"calendar": unit, "back": self.rnd.choice((0, 0, 1, 2)), "tz": self.rnd.choice(ZONES)}
        if kind == "between":
            young = self.rnd.choice((1, 3, 7, 26))
            return {"between": [self.of.age(young + self.rnd.choice((1, 3, 7))), self.of.age(young)]}
        start = self.of.now + self.rnd.choice((-30, -12, -5, -1, 1)) * self.of.unit
        return {"from": rfc3339(start), "to": rfc3339(start + self.rnd.choice((1, 4, 20)) * self.of.unit)}

    def since(self) -> Json:
        node: Json = {"op": "since", "event": self.rnd.choice((*NAMES[:2], "*"))}
        node |= {"value": self.of.age(self.rnd.choice((1, 2, 5, 12, 23, 24, 30)))}
        node |= {"which": self.rnd.choice(("last", "first")), "cmp": self.rnd.choice(("gte", "lt"))}
        if self.maybe(0.35):
            node["where"] = self.where()
        return node | ({"if_never": True} if self.maybe(0.4) else {})

    def sequence(self) -> Json:
        node: Json = {"op": "sequence", "steps": [self.step() for _ in range(self.rnd.choice((1, 2, 2, 2, 3, 3)))]}
        node["within"] = self.of.age(self.rnd.choice((1, 3, 7, 20, 30)))
        if self.maybe(0.3):
            node["same"] = self.rnd.choice((["k"], ["k"], ["context.k"], ["k", "context.k"], ["k", "p"]))
        if self.maybe(0.3):
            node["strict"] = True
        if self.maybe(0.5):
            node["absent"] = {**self.step(), "within": self.of.age(self.rnd.choice((1, 3, 7)))}
        if self.maybe(0.7):
            node["window"] = self.window()
        return node

    def step(self) -> Json:
        return {"event": self.rnd.choice("aaabbc"), **({"where": self.where(1)} if self.maybe(0.2) else {})}
