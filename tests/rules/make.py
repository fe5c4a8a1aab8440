"""Random small worlds: a few instants with many ties, few names, values of every JSON type."""

import random
from collections.abc import Iterator
from typing import Any

from segments.rules import Facts, Row, facts_from
from tests.rules.oracle import Event, Json

RETENTION = 24
NAMES = ("a", "b")
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
SCALARS = tuple(value for value in VALUES if value is not None and not isinstance(value, list | dict))
NUMBERS = (-3, 0, 0.3, 1, 1.0, 2, 2.5, 4)
PATHS = ("p", "q", "q.c", "context.p", "properties.p", '"q.c"')
ORDERED = ("gt", "gte", "lt", "lte")


def events(rnd: random.Random, now: int, *, future: bool) -> list[Event]:
    """Up to 15 events before `now`; some later than it if `future`."""
    return [
        (
            rnd.choice(NAMES),
            now + rnd.choice((2, 2, 5, -1, -4) if future and rnd.random() < 0.3 else (0, 0, *range(-30, 0))),
            bytes([index, rnd.randrange(256)]),
            *properties(rnd),
        )
        for index in rnd.sample(range(100), rnd.randrange(16))
    ]


def facts(events_: list[Event], traits: Json, *, identified: bool) -> Facts:
    rows = [(name, Row(ts, uid, properties, context)) for name, ts, uid, properties, context in events_]
    return facts_from(rows, identified=identified, traits=traits, retention=RETENTION)


def properties(rnd: random.Random) -> tuple[Json, Json]:
    """Of an event: its properties and its context."""
    return _object(rnd), _object(rnd)


def traits(rnd: random.Random) -> Json:
    return _object(rnd)


def document(rnd: random.Random) -> Json:
    return {"v": 1, "rule": _node(rnd, 0), "identified_only": rnd.random() < 0.1}


def _object(rnd: random.Random) -> Json:
    return {key: rnd.choice(VALUES) for key in ("p", "q", "q.c") if rnd.random() < 0.7}


def _node(rnd: random.Random, depth: int) -> Json:
    op = rnd.choice(("event", "event", "event", "event", "trait", *(("all", "any", "not") if depth < 2 else ())))
    if op in ("all", "any"):
        return {"op": op, "of": [_node(rnd, depth + 1) for _ in range(rnd.randint(1, 3))]}
    if op == "not":
        return {"op": op, "of": _node(rnd, depth + 1)}
    return _condition(rnd, ("p", "q", "q.c", '"q.c"')) if op == "trait" else _event(rnd)


def _condition(rnd: random.Random, paths: tuple[str, ...]) -> Json:
    cmp = rnd.choice(("eq", "in", *ORDERED, "contains", "prefix", "exists", "missing"))
    return {"op": "trait", "path": rnd.choice(paths), "cmp": cmp, **_value(rnd, cmp)}


def _value(rnd: random.Random, cmp: str) -> Json:
    if cmp in ("exists", "missing"):
        return {}
    if cmp == "in":
        return {"value": rnd.sample(SCALARS, rnd.randint(1, 3))}
    if cmp == "prefix":
        return {"value": rnd.choice(("x", "xy", "1"))}
    choices = [value for value in SCALARS if value != "" and (cmp not in ORDERED or not isinstance(value, bool))]
    return {"value": rnd.choice(choices)}


def _where(rnd: random.Random, depth: int = 0) -> Json:
    op = rnd.choice(("trait", "trait", "trait", "all", "any", "not")) if depth < 1 else "trait"
    if op in ("all", "any"):
        return {"op": op, "of": [_where(rnd, depth + 1) for _ in range(rnd.randint(1, 2))]}
    return {"op": op, "of": _where(rnd, depth + 1)} if op == "not" else _condition(rnd, PATHS)


def _event(rnd: random.Random) -> Json:
    node: Json = {"op": "event", "event": rnd.choice(NAMES)}
    if rnd.random() < 0.35:
        node["where"] = _where(rnd)
    if rnd.random() < 0.75:
        node["window"] = {"last": f"PT0.{rnd.choice((1, 3, 7, 10, 30)):03d}S"}
    fn = rnd.choice(("count", "count", "count", "sum", "avg", "min", "max", "distinct", "first", "last"))
    node.update(_comparison(rnd, fn))
    if fn != "count":
        node["agg"] = {"fn": fn, "prop": rnd.choice(PATHS)}
    return node


def _comparison(rnd: random.Random, fn: str) -> Json:
    if fn in ("first", "last"):
        return {key: value for key, value in _condition(rnd, PATHS).items() if key in ("cmp", "value")}
    cmp = rnd.choice(("eq", "in", *ORDERED, *ORDERED))
    if fn in ("avg", "min", "max") and rnd.random() < 0.2:
        return {"cmp": rnd.choice(("exists", "missing"))}
    values = tuple(range(5)) if fn in ("count", "distinct") else NUMBERS
    return {"cmp": cmp, "value": list(rnd.sample(values, 2)) if cmp == "in" else rnd.choice(values)}


def instants(now: int, until: int) -> Iterator[int]:
    """`now`, a few instants on the way, and the last before `until`."""
    yield from sorted(
        {now, *(instant for instant in range(now + 1, min(until, now + 40)) if instant % 3 == 0), until - 1}
    )
