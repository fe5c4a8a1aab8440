"""What the benches of evaluating look at: a shop with its people, events and personas."""

import argparse
import cProfile
import os
import pstats
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

Json = dict[str, Any]
DAYS = 60  # that the events lie back at most
NAMES = (
    "page_viewed", "product_viewed", "searched", "cart_added", "cart_removed", "checkout_started", "order_placed",
    "signed_up", "signed_in", "email_opened", "email_clicked", "video_played", "video_finished", "ticket_opened",
    "refunded", "review_posted", "app_opened", "push_opened", "plan_upgraded", "plan_canceled",
)  # fmt: skip

NAMED = """
insert into ingestion_eventname
select %(project)s, n, name from unnest(%(names)s::text[]) with ordinality r(name, n)
"""
PROFILES = """
insert into ingestion_profile
    (project_id, id, public_id, traits, trait_ts, identified, shard, first_seen, last_seen)
select %(project)s, n, 'u_' || n, jsonb_build_object(
        'plan', (array['free', 'free', 'pro', 'team'])[1 + floor(random() * 4)::int],
        'country', (array['DE', 'FR', 'US', 'TR', 'PL', 'IN'])[1 + floor(random() * 6)::int],
        'age', 18 + floor(random() * 60)::int, 'email', 'person' || n || '@example.com'),
    '{}', random() < 0.8, shard, %(now)s, %(now)s
from unnest(%(shards)s) with ordinality r(shard, n)
"""
# Some people do much and most do little; some events are common and most are rare; in the order of their time.
EVENTS = """
insert into ingestion_event (project_id, profile_id, name_id, ts, received_at, uid, props, context)
select %(project)s, 1 + floor(power(random(), 2) * %(profiles)s)::bigint, 1 + floor(power(random(), 1.5) * 20)::int,
    ts, ts, decode(md5(ts::text || random()::text), 'hex'),
    jsonb_build_object('value', round((random() * 100)::numeric, 2), 'path', '/' || floor(random() * 50)::int,
        'category', (array['a', 'b', 'c', 'd', 'e'])[1 + floor(random() * 5)::int], 'currency', 'EUR'),
    jsonb_build_object('locale', 'tr-TR', 'page', jsonb_build_object('path', '/' || floor(random() * 50)::int))
from (select %(now)s - ((%(events)s - g)::float8 / %(events)s * %(span)s)::bigint as ts
      from generate_series(1, %(events)s) g) t
"""
FILLED = "vacuum analyze ingestion_event, ingestion_profile, ingestion_eventname"  # what is empty will not stay so


class Size(NamedTuple):
    """How large the shop is."""

    events: int
    profiles: int
    personas: int


def arguments(parser: argparse.ArgumentParser, *, events: int = 2_000_000, profiles: int = 100_000) -> None:
    parser.add_argument("--events", type=int, default=events)
    parser.add_argument("--profiles", type=int, default=profiles)
    parser.add_argument("--personas", type=int, default=100)
    parser.add_argument("--small", action="store_true", help="a twentieth of everything but the personas")


def size(given: argparse.Namespace) -> Size:
    part = 20 if given.small else 1
    return Size(given.events // part, given.profiles // part, given.personas)


def fill(size: Size, project: Any = None) -> Any:
    """A project, or that one, with profiles and events; 2 million take half a minute."""
    from django.db import connection

    from ingestion import partitions
    from keys.models import Project
    from persona.lib import ids

    project = project or Project.objects.create(slug="bench", name="Bench")
    now = int(time.time() * 1_000)
    span = DAYS * 86_400_000
    for moment in {datetime.fromtimestamp((now - day * 86_400_000) / 1_000, UTC).replace(day=1) for day in range(DAYS)}:
        partitions.make(moment.year, moment.month)
    given = {
        **size._asdict(),
        "project": project.pk,
        "now": now,
        "span": span,
        "names": list(NAMES),
        "shards": [ids.shard_of(project.pk, profile, project.shards) for profile in range(1, size.profiles + 1)],
    }
    started = time.perf_counter()
    with connection.cursor() as cursor:
        for statement in ("select setseed(0.5)", NAMED, PROFILES, EVENTS, FILLED):
            cursor.execute(statement, given if "%(" in statement else None)
    print(
        f"{size.events:,} events of {size.profiles:,} profiles made in {time.perf_counter() - started:.0f} s",
        flush=True,
    )
    return project


def live(project: Any, some: list[Json]) -> None:
    """Save those personas and judge everybody, so that memberships, gates and timers are as they are in life."""
    from segments.backfill import backfill_some
    from segments.services import create_persona

    started = time.perf_counter()
    for number, rule in enumerate(some):
        create_persona(project=project, slug=f"p{number}", name="", rule=rule, actor="bench")
    while backfill_some():
        pass
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("vacuum analyze")
    print(f"{len(some)} personas backfilled in {time.perf_counter() - started:.0f} s", flush=True)


def profiled(deed: Callable[[], None]) -> None:
    """Where Python spends its time."""
    with cProfile.Profile() as profile:
        deed()
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def rules(count: int) -> list[Json]:
    """As many different rules: mostly counts with windows, and all the rest."""
    dice = random.Random(1)
    return [{"v": 1, "rule": _node(dice, 0)} for _ in range(count)]


def _node(dice: random.Random, depth: int) -> Json:
    kind = dice.random()
    if depth < 2 and kind < 0.42:
        return {"op": "all" if kind < 0.3 else "any", "of": [_node(dice, depth + 1) for _ in range(dice.randint(2, 3))]}
    if depth < 2 and kind < 0.48:
        return {"op": "not", "of": _node(dice, depth + 1)}
    make = dice.choices((_trait, _count, _aggregate, _sequence, _first), (30, 34, 14, 12, 5))[0]
    return make(dice)


def _trait(dice: random.Random) -> Json:
    return {
        "op": "trait",
        **dice.choice(
            (
                {"path": "plan", "cmp": "eq", "value": dice.choice(("free", "pro", "team"))},
                {"path": "country", "cmp": "in", "value": dice.sample(("DE", "FR", "US", "TR", "PL", "IN"), 2)},
                {"path": "age", "cmp": dice.choice(("gte", "lte")), "value": dice.randint(18, 70)},
                {"path": "email", "cmp": "contains", "value": "@example"},
            )
        ),
    }


def _window(dice: random.Random, *lengths: str | None) -> Json:
    length = dice.choice(lengths or (None, "P1D", "P7D", "P7D", "P30D"))
    return {"window": {"last": length}} if length else {}


def _count(dice: random.Random) -> Json:
    cmp = dice.choices(("gte", "lte", "eq"), (7, 2, 1))[0]
    node: Json = {"op": "event", "event": dice.choice(NAMES), "cmp": cmp}
    node["value"] = dice.choice((1, 1, 2, 3, 5) if cmp == "gte" else (0, 0, 1, 2))
    if dice.random() < 0.35:
        where = {"op": "trait", "path": "value", "cmp": "gt", "value": dice.randint(1, 90)}
        node["where"] = dice.choice((where, {**where, "path": "category", "cmp": "eq", "value": dice.choice("abcde")}))
    if dice.random() < 0.12:
        return {**node, "window": {"between": ["P20D", "P10D"]}}
    return {**node, **_window(dice)}


def _aggregate(dice: random.Random) -> Json:
    fn = dice.choice(("sum", "avg", "min", "max", "distinct"))
    value = {"sum": dice.randint(50, 500), "distinct": dice.randint(1, 4)}.get(fn, dice.randint(20, 80))
    return {
        "op": "event",
        "event": dice.choice(NAMES),
        "agg": {"fn": fn, "prop": "category" if fn == "distinct" else "value"},
        "cmp": dice.choice(("gte", "lte")),
        "value": value,
        **_window(dice),
    }


def _sequence(dice: random.Random) -> Json:
    steps = [{"event": name} for name in dice.sample(NAMES, 2)]
    return {"op": "sequence", "steps": steps, "within": "PT1H", **_window(dice, "P7D", "P30D")}


def _first(dice: random.Random) -> Json:
    return {"op": "since", "event": dice.choice(NAMES), "which": "first", "cmp": "lt", "value": "P7D"}


def load() -> str:
    """How busy the machine is, to be said beside every figure."""
    return f"load {os.getloadavg()[0]:.1f}"


def row(what: str, figure: str, more: str = "") -> None:
    print(f"{what:48} {figure:>24}   {more:40} {load()}", flush=True)
