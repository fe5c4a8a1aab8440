"""Random small worlds: a few instants with many ties, few names, values of every JSON type."""

import random
from collections.abc import Iterator
from typing import Any

from persona.lib.clock import rfc3339
from segments.rules import Facts, Row, facts_from
from tests.rules.oracle import Event, Json

NOW = 1_780_000_000_000
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
    op = rnd.choice(
        ("event", "event", "event", "event", "since", "trait", "bucket", *(("all", "any", "not") if depth < 2 else ()))
    )
    if op in ("all", "any"):
        return {"op": op, "of": [_node(rnd, depth + 1) for _ in range(rnd.randint(1, 3))]}
    if op == "not":
        return {"op": op, "of": _node(rnd, depth + 1)}
    leaves = {"event": _event, "since": _since, "bucket": _bucket}
    return _condition(rnd, ("p", "q", "q.c", '"q.c"')) if op == "trait" else leaves[op](rnd)


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
        node["window"] = _window(rnd)
    fn = rnd.choice(("count", "count", "count", "sum", "avg", "min", "max", "distinct", "first", "last"))
    node.update(_comparison(rnd, fn))
    if fn != "count":
        node["agg"] = {"fn": fn, "prop": rnd.choice(PATHS)}
    return node


def _window(rnd: random.Random) -> Json:
    kind = rnd.choice(("last", "last", "last", "between", "from"))
    if kind == "last":
        return {"last": age(rnd.choice((1, 3, 7, 10, 30)))}
    if kind == "between":
        young = rnd.choice((1, 3, 7, 26))
        return {"between": [age(young + rnd.choice((1, 3, 7))), age(young)]}
    start = NOW + rnd.choice((-30, -12, -5, -1, 1))
    return {"from": rfc3339(start), "to": rfc3339(start + rnd.choice((1, 4, 20)))}


def _since(rnd: random.Random) -> Json:
    node: Json = {"op": "since", "event": rnd.choice(NAMES), "value": age(rnd.choice((1, 2, 5, 12, 23, 24, 30)))}
    node |= {"which": rnd.choice(("last", "first")), "cmp": rnd.choice(("gte", "lt"))}
    if rnd.random() < 0.35:
        node["where"] = _where(rnd)
    return node | ({"if_never": True} if rnd.random() < 0.4 else {})


def _bucket(rnd: random.Random) -> Json:
    return {"op": "bucket", "salt": rnd.choice("abcdef"), "from": 0, "to": 5_000}


def age(milliseconds: int) -> str:
    return f"PT0.{milliseconds:03d}S"


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
