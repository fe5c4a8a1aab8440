"""gather() on PostgreSQL gives what facts_from() gives on a plain list of the same events."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import psycopg
import pytest
from django.db import connection

from persona.lib.clock import MS_PER_DAY
from segments import facts, lookups
from segments.facts import Wanted, gather
from segments.lookups import PlanRow
from segments.rules import Facts, Need, Row, compile_rule, facts_from, parse
from tests.rules import make

NOW = 1_780_000_000_000
RETENTION = 400 * MS_PER_DAY
MINE, OTHER = 7, 8  # projects: the bulk tables have no foreign keys
NAMES = {"view": 1, "buy": 2}
HOUR = 3_600_000

Stored = tuple[int, int, str, Row]  # project, profile, name, row
pytestmark = pytest.mark.django_db


class Counting(psycopg.Cursor[Any]):
    """A cursor that counts its statements."""

    statements = 0

    def execute(self, *args: Any, **kwargs: Any) -> "Counting":
        self.statements += 1
        return super().execute(*args, **kwargs)


@pytest.fixture
def cursor() -> Iterator[Counting]:
    connection.ensure_connection()
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    with Counting(raw) as counting:
        counting.format = psycopg.pq.Format.BINARY
        yield counting


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody has done too much to be walked."""
    monkeypatch.setattr(lookups, "FEW", 0)


def profiles(cursor: Counting, ids: Sequence[int], **more: Any) -> None:
    row = {"traits": {}, "identified": False, "merged_into": None, **more}
    for project in (MINE, OTHER):
        cursor.executemany(
            "insert into ingestion_profile (project_id, id, public_id, traits, identified, merged_into, shard,"
            " first_seen, last_seen) values (%s, %s, %s, %s, %s, %s, 0, 0, 0)",
            [
                (project, id_, f"u_{project}_{id_}", json.dumps(row["traits"]), row["identified"], row["merged_into"])
                for id_ in ids
            ],
        )
    cursor.executemany(
        "insert into ingestion_eventname values (%s, %s, %s)",
        [(project, id_, name) for project in (MINE, OTHER) for name, id_ in NAMES.items()],
    )
    cursor.statements = 0


def store(cursor: Counting, events: Sequence[Stored]) -> None:
    cursor.executemany(
        "insert into ingestion_event (project_id, profile_id, name_id, ts, received_at, uid, props, context)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (project, profile, NAMES[name], row.ts, row.ts + 3, row.uid, json.dumps(row.properties), context(row))
            for project, profile, name, row in events
        ],
    )
    cursor.statements = 0


def context(row: Row) -> str | None:
    return json.dumps(row.context) if row.context else None


def gathered(cursor: Counting, wanted: Mapping[int, Wanted]) -> dict[int, Facts]:
    return gather(cursor, MINE, wanted, retention=RETENTION, now=NOW)


def every(name: str, *keys: str, **more: Any) -> PlanRow:
    return PlanRow(NAMES[name], name, more.pop("window", RETENTION), properties=keys, **more)


def row(age: int, uid: int = 0, /, **properties: Any) -> Row:
    return Row(NOW - age, uid.to_bytes(16, "big"), properties)


def test_rows_come_newest_first_by_ts_and_uid(cursor: Counting) -> None:
    profiles(cursor, [1])
    rows = [row(5, 1, n=1), row(3, 9, n=2), row(3, 2, n=3), row(4, 5, n=4)]
    store(cursor, [(MINE, 1, "view", each) for each in rows])
    known = gathered(cursor, {1: Wanted((every("view", "n"),), NOW)})[1]
    assert known.events["view"] == [rows[1], rows[2], rows[3], rows[0]]
    assert known.events == facts_from([("view", each) for each in rows]).events


def test_a_window_is_half_open(cursor: Counting) -> None:
    profiles(cursor, [1])
    store(cursor, [(MINE, 1, "view", row(age)) for age in (0, HOUR - 1, HOUR, HOUR + 1)])
    known = gathered(cursor, {1: Wanted((every("view", window=HOUR),), NOW)})[1]
    assert [NOW - each.ts for each in known.events["view"]] == [0, HOUR - 1]


@pytest.mark.usefixtures("many")
def test_a_limit_gives_the_newest(cursor: Counting) -> None:
    profiles(cursor, [1])
    store(cursor, [(MINE, 1, "view", row(age, age)) for age in range(5)])
    known = gathered(cursor, {1: Wanted((every("view", limit=2),), NOW)})[1]
    assert [NOW - each.ts for each in known.events["view"]] == [0, 1]


@pytest.mark.usefixtures("many")
def test_judged_from_the_past_a_limit_gives_the_newest_of_then_and_all_since(cursor: Counting) -> None:
    profiles(cursor, [1])
    store(cursor, [(MINE, 1, "view", row(age, age)) for age in (0, 10, 20, 30, 40, 50)])
    known = gathered(cursor, {1: Wanted((every("view", limit=2, window=35),), NOW - 20)})[1]
    assert [NOW - each.ts for each in known.events["view"]] == [0, 10, 20, 30]


@pytest.mark.usefixtures("many")
def test_an_event_later_than_now_does_not_push_out_another(cursor: Counting) -> None:
    profiles(cursor, [1])
    store(cursor, [(MINE, 1, "view", row(age, 1)) for age in (-5, 10, 20)])
    known = gathered(cursor, {1: Wanted((every("view", limit=1),), NOW)})[1]
    assert [NOW - each.ts for each in known.events["view"]] == [-5, 10]


def test_only_the_keys_that_are_wanted_with_their_types(cursor: Counting) -> None:
    profiles(cursor, [1])
    properties = {
        "n": 1,
        "f": 1.5,
        "s": "1",
        "b": True,
        "z": None,
        "l": [1, "x"],
        "o": {"a": 1},
        "page.path": "/x",
        "no": "-" * lookups.SMALL,
    }
    both = Row(NOW, b"\x01" * 16, properties, {"page": {"path": "/"}, "locale": "-" * lookups.SMALL})
    store(cursor, [(MINE, 1, "view", both), (MINE, 1, "buy", both)])
    plan = (
        every("view", "n", "f", "s", "b", "z", "l", "o", "page.path", "absent", context=("page",)),
        every("buy", "n"),
    )
    known = gathered(cursor, {1: Wanted(plan, NOW)})[1]
    (view,) = known.events["view"]
    assert {key: value for key, value in view.properties.items() if value is not None} == {
        key: value for key, value in properties.items() if value is not None and key != "no"
    }
    assert [type(view.properties[key]) for key in ("n", "f", "b")] == [int, float, bool]
    assert view.context == {"page": {"path": "/"}}
    (buy,) = known.events["buy"]
    assert buy.properties["n"] == 1
    assert "no" not in buy.properties
    assert buy.context == {}


def test_what_is_small_is_read_whole_and_what_nobody_looks_at_not_at_all(cursor: Counting) -> None:
    profiles(cursor, [1])
    store(cursor, [(MINE, 1, name, Row(NOW, b"1" * 16, {"n": 1, "m": 2}, {"page": 3})) for name in NAMES])
    known = gathered(cursor, {1: Wanted((every("view", "n"), every("buy")), NOW)})[1]
    assert known.events["view"] == [Row(NOW, b"1" * 16, {"n": 1, "m": 2})]
    assert known.events["buy"] == [Row(NOW, b"1" * 16)]
    known = gathered(cursor, {1: Wanted((every("buy", context=("page", "x")),), NOW)})[1]
    assert known.events == {"buy": [Row(NOW, b"1" * 16, {}, {"page": 3})]}


def test_names_of_different_windows(cursor: Counting) -> None:
    profiles(cursor, [1])
    store(cursor, [(MINE, 1, name, row(age, age)) for name in NAMES for age in (1, HOUR - 1, HOUR, 2 * HOUR)])
    plan = (every("view", window=HOUR), every("buy", window=2 * HOUR, limit=1))
    known = gathered(cursor, {1: Wanted(plan, NOW)})[1]
    assert [NOW - each.ts for each in known.events["view"]] == [1, HOUR - 1]
    assert [NOW - each.ts for each in known.events["buy"]] == [1, HOUR - 1, HOUR], "few: the limit spares nothing"


def test_who_did_much_is_asked_for_what_decides(cursor: Counting) -> None:
    profiles(cursor, [1, 2])
    for profile in (1, 2):
        ages = range(1, lookups.FEW + profile)
        store(cursor, [(MINE, profile, "view", row(age, age, n=age)) for age in ages])
        store(cursor, [(MINE, profile, "buy", row(2 * HOUR, 1))])
    plan = (every("view", "n", limit=3), every("buy", window=HOUR * 9))
    cursor.statements = 0
    known = gathered(cursor, {1: Wanted(plan, NOW), 2: Wanted(plan, NOW)})
    assert cursor.statements == 3
    assert [len(known[id_].events["view"]) for id_ in (1, 2)] == [lookups.FEW, 3]
    assert known[2].events["view"] == [row(age, age, n=age) for age in (1, 2, 3)]
    assert [len(known[id_].events["buy"]) for id_ in (1, 2)] == [1, 1]


def test_many_keys_and_strange_ones(cursor: Counting) -> None:
    profiles(cursor, [1])
    keys = [f"key {n}" for n in range(130)] + ["'; drop table x; --", "%s", "{0}", '"', "ö"]
    store(cursor, [(MINE, 1, "view", row(0, 1, **dict.fromkeys(keys, 1)))])
    known = gathered(cursor, {1: Wanted((every("view", *keys),), NOW)})[1]
    assert known.events["view"][0].properties == dict.fromkeys(keys, 1)


def test_a_number_that_no_double_can_hold_is_missing_and_harms_nothing_else(cursor: Counting) -> None:
    profiles(cursor, [1])
    newer, older = {"n": 1, "h": 2, "g": -2.5}, {"n": 3, "f": 1e308, "h": 4}
    store(cursor, [(MINE, 1, "view", row(1, 1, **newer)), (MINE, 1, "view", row(2, 2, **older))])
    for key, number in (("n", "1e400"), ("h", f"1{'0' * 400}.5"), ("i", "1e5000")):
        cursor.execute(
            "update ingestion_event set props = jsonb_set(props, array[%s], %s::jsonb)"
            " where project_id = %s and ts = %s",
            (key, number, MINE, NOW - 1),
        )
    known = gathered(cursor, {1: Wanted((every("view", "n", "f", "g", "h", "i"),), NOW)})[1]
    first, second = (each.properties for each in known.events["view"])
    assert [first[key] for key in "nhig"] == [None, None, None, -2.5]
    assert [second[key] for key in "nfh"] == [3, 10**308, 4]
    node = {"op": "event", "event": "view", "agg": {"fn": "sum", "prop": "n"}, "cmp": "eq", "value": 3}
    assert compile_rule(parse({"v": 1, "rule": node})).value(known, NOW) > 0


def test_a_profile_is_read_with_its_traits(cursor: Counting) -> None:
    profiles(cursor, [1], traits={"plan": "pro", "n": 1, "o": {"a": [None]}}, identified=True, merged_into=5)
    known = gathered(cursor, {1: Wanted((), NOW), 99: Wanted((every("view"),), NOW)})
    assert known == {
        1: Facts("u_7_1", True, {"plan": "pro", "n": 1, "o": {"a": [None]}}, {}, RETENTION, frozenset(), 5)
    }


def test_what_is_too_much_is_capped_and_says_so(cursor: Counting) -> None:
    profiles(cursor, [1, 2])
    cursor.execute(
        "insert into ingestion_event select %s, p, 1, %s - g, %s, decode(lpad(to_hex(g), 32, '0'), 'hex'), '{}', null"
        " from generate_series(1, 10001) g, generate_series(1, 2) p where g + p <= 10002",
        (MINE, NOW, NOW),
    )
    known = gathered(cursor, {1: Wanted((every("view"),), NOW), 2: Wanted((every("view"),), NOW)})
    assert [len(known[id_].events["view"]) for id_ in (1, 2)] == [10_000, 10_000]
    assert known[1].events["view"][0].ts == NOW - 1
    assert (known[1].capped, known[2].capped) == (frozenset({"view"}), frozenset())


def test_two_projects_with_the_same_ids_know_nothing_of_each_other(cursor: Counting) -> None:
    profiles(cursor, [1])
    store(cursor, [(OTHER, 1, "view", row(0, 1, n=1)), (MINE, 1, "view", row(1, 2, n=2))])
    wanted = {1: Wanted((every("view", "n", limit=1),), NOW)}
    assert gathered(cursor, wanted)[1].events["view"] == [row(1, 2, n=2)]
    other = gather(cursor, OTHER, wanted, retention=RETENTION, now=NOW)[1]
    assert (other.profile, other.events["view"]) == ("u_8_1", [row(0, 1, n=1)])


def test_two_statements_however_many_profiles_and_names(cursor: Counting) -> None:
    profiles(cursor, range(1, 41))
    store(cursor, [(MINE, profile, name, row(0, 1, n=profile)) for profile in range(1, 41) for name in NAMES])
    for wanted in ({1: 1}, dict.fromkeys(range(1, 41))):
        cursor.statements = 0
        plan = (every("view", "n"), every("buy", limit=1))
        known = gathered(cursor, {profile: Wanted(plan, NOW) for profile in wanted})
        assert cursor.statements == 2
        assert {id_: each.events["view"][0].properties for id_, each in known.items()} == {
            id_: {"n": id_} for id_ in wanted
        }


@pytest.mark.usefixtures("many")
def test_any_event_gives_the_newest_of_all_names(cursor: Counting) -> None:
    profiles(cursor, [1, 2])
    store(cursor, [(MINE, 1, name, row(age, age)) for name, age in (("view", 9), ("buy", 5), ("view", 7), ("buy", 8))])
    plan = facts.plan([Need("*", None, 2), Need("buy", None, 1)], {"buy": NAMES["buy"]}, RETENTION)
    cursor.statements = 0
    known = gathered(cursor, {1: Wanted(plan, NOW), 2: Wanted(plan, NOW)})
    assert cursor.statements == 3
    assert [NOW - each.ts for each in known[1].events["*"]] == [5, 7]
    assert [NOW - each.ts for each in known[1].events["buy"]] == [5]
    assert known[2].events == {}


@pytest.mark.usefixtures("many")
def test_the_oldest_event_is_found_without_reading_the_others(cursor: Counting) -> None:
    profiles(cursor, [1])
    store(cursor, [(MINE, 1, name, row(age, age)) for age in range(1, 40) for name in ("view", "buy")[: 1 + age % 2]])
    plan = facts.plan([Need("view", 30, 0, oldest=True), Need("*", 20, 1, oldest=True)], NAMES, RETENTION)
    known = gathered(cursor, {1: Wanted(plan, NOW)})[1]
    assert [NOW - each.ts for each in known.events["view"]] == [29]
    assert [NOW - each.ts for each in known.events["*"]] == [1, 19]
    later = gathered(cursor, {1: Wanted(plan, NOW - 3)})[1]
    assert [NOW - each.ts for each in later.events["view"]] == [1, 2, 29, 30, 31, 32], "one for each instant since"


def test_the_oldest_is_found_even_where_there_are_too_many(cursor: Counting) -> None:
    profiles(cursor, [1])
    cursor.execute(
        "insert into ingestion_event select %s, 1, 1 + g %% 2, %s - g, %s, decode(lpad(to_hex(g), 32, '0'), 'hex'),"
        " '{}', null from generate_series(1, 20010) g",
        (MINE, NOW, NOW),
    )
    node = {"op": "since", "event": "*", "which": "first", "cmp": "gte", "value": "PT20.01S"}
    compiled = compile_rule(parse({"v": 1, "rule": node}))
    known = gathered(cursor, {1: Wanted(facts.plan(compiled.needs, NAMES, RETENTION), NOW)})[1]
    assert [NOW - each.ts for each in known.events["*"]] == [20_010]
    assert compiled.value(known, NOW) > 0


def test_nothing_wanted(cursor: Counting) -> None:
    assert gathered(cursor, {}) == {}


def test_a_cursor_of_django_will_do(cursor: Counting) -> None:
    profiles(cursor, [1])
    store(cursor, [(MINE, 1, "view", row(0, 1, n=1))])
    with connection.cursor() as plain:
        known = gather(plain, MINE, {1: Wanted((every("view", "n"),), NOW)}, retention=RETENTION, now=NOW)
    assert known[1].events["view"] == [row(0, 1, n=1)]


def test_names_and_needs_become_a_plan(cursor: Counting) -> None:
    profiles(cursor, [])
    ids = facts.name_ids(cursor, MINE, ["view", "never seen"])
    assert ids == {"view": 1}
    needs = (
        Need("view", None, None, frozenset({"b", "a"}), frozenset({"page"})),
        Need("view", HOUR, 3),
        Need("view", 2 * RETENTION, 3),
        Need("never seen", None, None),
    )
    assert facts.plan(needs, ids, RETENTION) == (
        PlanRow(1, "view", RETENTION, None, ("a", "b"), ("page",)),
        PlanRow(1, "view", HOUR, 3),
        PlanRow(1, "view", RETENTION, 3),
    )


@pytest.mark.parametrize("few", [0, 2, lookups.FEW])
def test_rules_judge_gathered_facts_as_they_judge_plain_lists(
    cursor: Counting, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Random rules and events; what the plan leaves out must not be missed, at any instant from `earliest` on.

    Who knows of the oldest event alone looks again when it leaves: that answer may end too early, never too late.
    """
    monkeypatch.setattr(lookups, "FEW", few)
    rnd = random.Random(11)
    ids = {"a": 1, "b": 2, "c": 3}
    cursor.executemany(
        "insert into ingestion_eventname values (%s, %s, %s)", [(MINE, id_, name) for name, id_ in ids.items()]
    )
    worlds = {profile: make.events(rnd, future=False) for profile in range(1, 41)}
    cursor.executemany(
        "insert into ingestion_profile (project_id, id, public_id, shard, first_seen, last_seen)"
        " values (%s, %s, 'u_' || %s, 0, 0, 0)",
        [(MINE, profile, str(profile)) for profile in worlds],
    )
    cursor.executemany(
        "insert into ingestion_event values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (MINE, profile, ids[name], ts, NOW, uid, json.dumps(properties), json.dumps(context))
            for profile, events in worlds.items()
            for name, ts, uid, properties, context in events
        ],
    )
    judged = 0
    for _ in range(60):
        compiled = compile_rule(parse({**make.document(rnd), "identified_only": False}))
        exact = not any(need.oldest for need in compiled.needs)
        earliest = NOW - rnd.choice((0, 0, 4, 12))
        plan = facts.plan(compiled.needs, ids, make.RETENTION)
        known = gather(cursor, MINE, {id_: Wanted(plan, earliest) for id_ in worlds}, retention=make.RETENTION, now=NOW)
        for profile, events in worlds.items():
            plain = msgspec.structs.replace(make.facts(events, {}, identified=False), profile=f"u_{profile}")
            for instant in {earliest, rnd.randint(earliest, NOW), NOW}:
                found, wanted = compiled.value(known[profile], instant), compiled.value(plain, instant)
                assert (found > 0) is (wanted > 0), compiled.needs
                if exact:
                    assert found == wanted, compiled.needs
                else:
                    last = min(abs(found), NOW + 2 * make.RETENTION) - 1
                    assert (compiled.value(plain, last) > 0) is (found > 0), compiled.needs
                judged += 1
    assert judged > 2_000
