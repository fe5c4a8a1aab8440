"""Segments and a second implementation in SQL find the same members among hundreds of profiles.

`TWIN_PROFILES=20000 TWIN_RULES=1000 TWIN_SEED=5` run it large, or anew.
"""

import os
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import psycopg
import pytest
from django.db import connection

from segments import facts
from segments.cursors import raw_cursor
from segments.facts import Wanted
from segments.rules import compile_rule, merge_needs, parse
from tests.effort import tries
from tests.rules.make import FINE, Scale
from tests.segments import twin_worlds
from tests.segments.sql_twin import SETUP, Twin
from tests.segments.twin_worlds import HOURS, World

PROFILES = int(os.environ.get("TWIN_PROFILES", tries(800, plain=400)))
RULES = int(os.environ.get("TWIN_RULES", "90"))
SEED = int(os.environ.get("TWIN_SEED", "1"))
PAGE = 200  # profiles at once, as in a backfill
TOGETHER = 12  # rules whose facts are read at once, as for a profile that several personas look at

Members = list[set[int]]  # per rule, the ids of its members
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(3_600 if RULES > 90 or PROFILES > 800 else 120)]


def by_sql(cursor: psycopg.Cursor[Any], world: World) -> Members:
    connection.cursor().execute(
        SETUP, {"project": world.project, "now": world.now, "retention": world.retention}
    )  # Django's cursor puts the values into the text, so that several statements may stand in it
    found = []
    for document, personas in world.rules:
        cursor.execute(Twin(now=world.now, personas=personas).statement(document).encode(), prepare=False)
        found.append({id_ for (id_,) in cursor.fetchall()})
    cursor.execute("drop table twin_event, twin_profile")
    return found


def by_segments(cursor: psycopg.Cursor[Any], world: World) -> Members:
    compiled = [compile_rule(parse(document, resolve=personas.get)) for document, personas in world.rules]
    ids = {name: 1 + number for number, name in enumerate(world.names)}
    found: Members = [set() for _ in compiled]
    for profiles in pages(cursor, world.project):
        for at in range(0, len(compiled), TOGETHER):
            some = list(enumerate(compiled))[at : at + TOGETHER]
            plan = facts.plan(merge_needs(each.needs for _, each in some), ids, world.retention)
            wanted = {profile: Wanted(plan, world.now) for profile in profiles}
            known = facts.gather(cursor, world.project, wanted, retention=world.retention, now=world.now)
            for number, each in some:
                found[number].update(id_ for id_ in profiles if each.value(known[id_], world.now) > 0)
    return found


def pages(cursor: psycopg.Cursor[Any], project: int) -> Iterator[list[int]]:
    cursor.execute("select id from ingestion_profile where project_id = %s order by id", (project,))
    profiles = iter([id_ for (id_,) in cursor.fetchall()])
    while page := list(islice(profiles, PAGE)):
        yield page


def compared(world: World) -> Members:
    """The members, which both ways of finding them agree on."""
    with raw_cursor() as own, psycopg.Cursor(own.connection) as cursor:
        cursor.execute("analyze ingestion_event")
        ours, theirs = by_segments(cursor, world), by_sql(cursor, world)
    for (document, personas), mine, other in zip(world.rules, ours, theirs, strict=True):
        wrong = sorted(mine ^ other)
        assert not wrong, (
            f"seed {SEED}, now {world.now}: segments finds {len(mine)}, SQL {len(other)}; they differ on {wrong[:5]}"
            f" (of segments: {sorted(mine - other)[:5]})\n{document}\n{personas}"
        )
    return ours


def telling(found: Members, profiles: int) -> int:
    """Rules that do tell profiles apart."""
    return sum(0 < len(members) < profiles for members in found)


@pytest.mark.parametrize("of", [FINE, HOURS], ids=["milliseconds", "calendars"])
def test_random_rules(of: Scale) -> None:
    rnd, profiles = random.Random(SEED), PROFILES * 2 // 5
    world = twin_worlds.random_world(7, rnd, of, RULES // 2)
    with raw_cursor() as own, psycopg.Cursor(own.connection) as cursor:
        twin_worlds.store_random(cursor, world, rnd, of, profiles)
    assert telling(compared(world), profiles) > len(world.rules) * 3 // 5


def test_the_personas_of_a_shop() -> None:
    world, profiles = twin_worlds.shop_world(7), 300 + PROFILES // 10
    with raw_cursor() as own, psycopg.Cursor(own.connection) as cursor:
        twin_worlds.store_shop(cursor, world, random.Random(SEED), profiles)
    assert telling(compared(world), profiles) == len(world.rules)
