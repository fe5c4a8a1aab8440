"""Made data for the SQL twin: projects full of ties, nulls, wrong types and dotted keys, and rules to ask of them."""

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import psycopg

from persona.lib.clock import MS_PER_DAY, rfc3339
from tests.rules import make
from tests.rules.make import Scale

Json = dict[str, Any]
HOUR = 3_600_000
EVENTS = 30  # of a profile, on average
# Two in the morning after the clocks went back in Berlin; the other worlds' instant is of no importance.
HOURS = Scale(1_761_440_400_000, make.HOURS)


class World(NamedTuple):
    """A project: what there is, when it is asked, and what it is asked."""

    project: int
    now: int
    retention: int
    names: tuple[str, ...]
    rules: list[tuple[Json, Mapping[str, Json]]]  # with the personas that they may refer to


def random_world(project: int, rnd: random.Random, of: Scale, rules: int) -> World:
    made = []
    for _ in range(rules):
        personas = make.personas(rnd, of)
        made.append((make.document(rnd, of, tuple(personas)), personas))
    return World(project, of.now, of.retention, make.NAMES, made)


def store_random(cursor: psycopg.Cursor[Any], world: World, rnd: random.Random, of: Scale, profiles: int) -> None:
    cast = [tuple(map(json.dumps, make.properties(rnd, of))) for _ in range(500)]

    def events() -> Iterator[tuple[Any, ...]]:
        for profile in range(1, profiles + 1):
            for number in range(rnd.randrange(2 * EVENTS)):
                name, ts, uid, *_ = make.event(rnd, of, future=True)
                props, context = rnd.choice(cast)
                received = max(ts, of.now)  # an event is never later than its arrival
                yield profile, 1 + make.NAMES.index(name), ts, received, uid + bytes([number]), props, context

    people = ((id_, json.dumps(make.traits(rnd, of)), rnd.random() < 0.5) for id_ in range(1, profiles + 1))
    _store(cursor, world, people, events())


def shop_world(project: int) -> World:
    personas = {slug: {"v": 1, "rule": rule} for slug, rule in SHOP.items()}
    return World(project, SHOP_NOW, 400 * MS_PER_DAY, tuple(ACTS), [(rule, personas) for rule in personas.values()])


def store_shop(cursor: psycopg.Cursor[Any], world: World, rnd: random.Random, profiles: int) -> None:
    """Each profile has its own pace: some were here a minute ago, some have not come for months."""

    def events() -> Iterator[tuple[Any, ...]]:
        for profile in range(1, profiles + 1):
            pause = rnd.choice((0, 0, HOUR, MS_PER_DAY, 35 * MS_PER_DAY))
            pace = rnd.choice((HOUR // 12, HOUR, 12 * HOUR, 4 * MS_PER_DAY))
            for number in range(rnd.randrange(2 * EVENTS)):
                ts = world.now - pause - rnd.randrange(EVENTS) * pace // rnd.choice((1, 1, 7))
                name = rnd.choice(world.names)
                props = {key: rnd.choice(values) for key, values in ACTS[name].items() if rnd.random() < 0.9}
                uid = rnd.randbytes(3) + bytes([number])
                yield profile, 1 + world.names.index(name), ts, world.now, uid, json.dumps(props), None

    def traits() -> Json:
        ends = world.now + rnd.randrange(-5, 9) * MS_PER_DAY
        return {
            "plan": rnd.choice(("trial", "trial", "pro", None, 1)),
            "trial_ends_at": rnd.choice((rfc3339(ends), ends, ends // 1_000, "soon", None)),
            "email_opt_out": rnd.choice((True, False, None, "true", 1)),
        }

    people = ((id_, json.dumps(traits()), rnd.random() < 0.5) for id_ in range(1, profiles + 1))
    _store(cursor, world, people, events())


def _store(
    cursor: psycopg.Cursor[Any], world: World, people: Iterator[tuple[Any, ...]], events: Iterator[tuple[Any, ...]]
) -> None:
    with cursor.copy("copy ingestion_eventname (project_id, id, name) from stdin") as copy:
        for number, name in enumerate(world.names):
            copy.write_row((world.project, 1 + number, name))
    with cursor.copy(
        "copy ingestion_profile (project_id, id, public_id, traits, identified, shard, first_seen, last_seen)"
        " from stdin"
    ) as copy:
        for id_, traits, identified in people:
            copy.write_row((world.project, id_, f"u_{id_ - 1}", traits, identified, 0, 0, 0))
    with cursor.copy(
        "copy ingestion_event (project_id, profile_id, name_id, ts, received_at, uid, props, context) from stdin"
    ) as copy:
        for event in events:
            copy.write_row((world.project, *event))


SHOP_NOW = 1_780_000_000_000
_ENDS = [SHOP_NOW + days * MS_PER_DAY for days in range(-3, 12)]
PAID_UNTIL: tuple[Any, ...] = (*map(rfc3339, _ENDS), *_ENDS, *(ends // 1_000 for ends in _ENDS), "soon", None, True)
ACTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "page_viewed": {"path": ("/pricing", "/pricing", "/pricing", "/pricing/teams", "/Pricing", "/", 5, None)},
    "checkout_completed": {"cart_id": (1, 2, 3, "1")},
    "cart_added": {"cart_id": (1, 1.0, 2, 3, "1", None)},
    "order_placed": {"total": (10, 99.9, 250, 250.5, -40, "250", None, True), "paid_until": PAID_UNTIL},
    "article_read": {},
    "signed_up": {},
    "project_created": {},
    "teammate_invited": {},
    "product_viewed": {"category": ("a", "b", "c", 1, True, None, ["a"])},
}


def event(name: str, cmp: str, value: Any, window: Json | None = None, **more: Any) -> Json:
    node = {"op": "event", "event": name, "cmp": cmp, "value": value, **more}
    return {**node, "window": window} if window else node


def trait(path: str, cmp: str, value: Any) -> Json:
    return {"op": "trait", "path": path, "cmp": cmp, "value": value}


def all_of(*nodes: Json) -> Json:
    return {"op": "all", "of": list(nodes)}


def denied(node: Json) -> Json:
    return {"op": "not", "of": node}


SHOP: dict[str, Json] = {
    "high_intent": all_of(
        event("page_viewed", "gte", 3, {"last": "P1D"}, where=trait("path", "prefix", "/pricing")),
        denied(event("checkout_completed", "gte", 1, {"last": "P1D"})),
    ),
    "cart_abandoner": {
        "op": "sequence",
        "steps": [{"event": "cart_added"}],
        "same": ["cart_id"],
        "within": "P1D",
        "absent": {"event": "checkout_completed", "within": "PT1H"},
        "window": {"last": "P3D"},
    },
    "high_value_churner": all_of(
        event("order_placed", "gte", 500, agg={"fn": "sum", "prop": "total"}),
        {"op": "since", "event": "page_viewed", "which": "last", "cmp": "gte", "value": "P30D"},
    ),
    "trial_ending": all_of(trait("plan", "eq", "trial"), trait("trial_ends_at", "within_next", "P3D")),
    "lapsed_reader": all_of(
        event("article_read", "gte", 1, {"between": ["P90D", "P30D"]}),
        event("article_read", "lte", 0, {"last": "P30D"}),
    ),
    "quick_activator": {
        "op": "sequence",
        "steps": [{"event": "signed_up"}, {"event": "project_created"}, {"event": "teammate_invited"}],
        "within": "P1D",
        "window": {"last": "P14D"},
    },
    "broad_browser": event("product_viewed", "gte", 3, {"last": "P7D"}, agg={"fn": "distinct", "prop": "category"}),
    "to_renew": event("order_placed", "within_next", "P7D", {"last": "P90D"}, agg={"fn": "last", "prop": "paid_until"}),
    "first_term_runs": denied(event("order_placed", "older_than", "P1D", agg={"fn": "first", "prop": "paid_until"})),
    "vip_holdout": all_of(
        {"op": "member", "persona": "high_value_churner"},
        denied(trait("email_opt_out", "eq", True)),
        {"op": "bucket", "salt": "exp-7", "from": 0, "to": 9_000},
    ),
}
