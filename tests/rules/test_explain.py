"""Explain says what the engine decides, when that changes, and what would change it."""

import random
from typing import Any

import msgspec
import pytest

from persona.lib.clock import rfc3339
from segments.rules import Explanation, Facts, Row, explain, facts_from, parse
from segments.rules.explain import mismatches
from tests.rules import make
from tests.rules.make import NOW
from tests.rules.oracle import World, member

S, DAY = 1_000, 86_400_000
VIEW = {"op": "event", "event": "view", "cmp": "gte", "value": 2, "window": {"last": "PT10S"}}
BUY = {"op": "event", "event": "buy", "cmp": "gte", "value": 1, "window": {"last": "PT20S"}}


def row(ago: int, uid: str = "", **properties: Any) -> Row:
    return Row(NOW - ago, bytes.fromhex(uid), properties)


def told(node: Any, *events: tuple[str, Row], personas: Any = None, envelope: Any = None, **known: Any) -> Explanation:
    rule = parse({"v": 1, "rule": node, **(envelope or {})}, resolve=(personas or {}).get)
    return explain(rule, facts_from(events, **known), NOW)


def test_a_count_says_what_counts_and_when_it_ends() -> None:
    root = told(VIEW, *(("view", row(ago * S, f"{ago:02}")) for ago in (3, 1, 12, 2)))
    (leaf,) = root.of
    assert (root.op, root.matched, root.flips_at) == ("rule", True, NOW - 2 * S + 10 * S)
    assert (leaf.path, leaf.op, leaf.actual, leaf.threshold) == ("rule", "event", 3, {"cmp": "gte", "value": 2})
    assert (leaf.counted, leaf.uids) == (3, ("01", "02", "03"))
    assert (leaf.extends, leaf.ends, leaf.either) == (("view",), (), ())


def test_leaves_then_unless_and_leaves_at_once_on() -> None:
    root = told({"op": "all", "of": [VIEW, {"op": "not", "of": BUY}]}, *(("view", row(ago * S)) for ago in (1, 3)))
    assert (root.matched, root.flips_at, root.extends, root.ends) == (True, NOW + 7 * S, ("view",), ("buy",))
    paths = [node.path for node in (root.of[0], *root.of[0].of, *root.of[0].of[1].of)]
    assert paths == ["rule", "rule.of[0]", "rule.of[1]", "rule.of[1].of"]


def test_enters_then_unless() -> None:
    lapsed = {"op": "since", "event": "*", "which": "last", "cmp": "gte", "value": "PT30S"}
    root = told(lapsed, ("view", row(10 * S, "0a")))
    assert (root.matched, root.flips_at, root.extends) == (False, NOW + 20 * S, ("*",))
    (leaf,) = root.of
    assert (leaf.actual, leaf.threshold, leaf.uids) == (10 * S, {"cmp": "gte", "value": "PT30S"}, ("0a",))


def test_only_an_event_can_change_this() -> None:
    root = told(VIEW)
    assert (root.matched, root.flips_at, root.extends, root.ends, root.either) == (False, None, (), (), ("view",))
    nearly = told(VIEW, ("view", row(S)))
    assert (nearly.matched, nearly.flips_at, nearly.ends, nearly.either) == (False, None, ("view",), ())


def test_a_sequence_names_its_chain() -> None:
    abandoned = {
        "op": "sequence",
        "steps": [{"event": "add"}, {"event": "add"}],
        "within": "PT1M",
        "absent": {"event": "buy", "within": "PT5S"},
        "window": {"last": "PT1M"},
    }
    waiting = told(abandoned, ("add", row(9 * S, "01")), ("add", row(2 * S, "02")))
    assert (waiting.matched, waiting.flips_at) == (False, NOW + 3 * S)
    assert (waiting.extends, waiting.ends, waiting.either) == (("buy",), (), ("add",))
    assert waiting.of[0].uids == ("02", "01")
    holding = told(abandoned, ("add", row(9 * S, "01")), ("add", row(6 * S, "02")))
    assert (holding.matched, holding.flips_at, holding.of[0].actual) == (True, NOW + 51 * S, 1)
    assert (holding.extends, holding.ends, holding.either) == ((), (), ("add", "buy"))


LAPSED = {
    "op": "all",
    "of": [
        {"op": "event", "event": "read", "cmp": "gte", "value": 1, "window": {"between": ["P90D", "P30D"]}},
        {"op": "event", "event": "read", "cmp": "lte", "value": 0, "window": {"last": "P30D"}},
    ],
}
QUIET = {
    "op": "all",
    "of": [
        {**BUY, "window": {"last": "P90D"}},
        {"op": "since", "event": "view", "which": "last", "cmp": "gte", "value": "P30D"},
    ],
}
LEFT = {"op": "sequence", "steps": [{"event": "add"}], "within": "P1D", "absent": {"event": "buy", "within": "PT1H"}}


@pytest.mark.parametrize(
    ("node", "events", "matched", "extends", "ends"),
    [
        (LAPSED, [("read", 40)], True, (), ("read",)),
        (LAPSED, [("read", 10)], False, ("read",), ()),
        (QUIET, [("buy", 50), ("view", 40)], True, ("buy",), ("view",)),
        (QUIET, [("buy", 50), ("view", 10)], False, ("view",), ()),
        (LEFT, [("add", 0)], False, ("buy",), ()),
        (LEFT, [("add", 1)], True, ("add",), ()),
        ({**VIEW, "cmp": "eq", "value": 0, "window": {"last": "P20D"}}, [("view", 10)], False, ("view",), ()),
        ({**BUY, "window": {"calendar": "day", "back": 1, "tz": "UTC"}}, [("buy", 0)], False, (), ()),
        ({"op": "not", "of": {**BUY, "window": {"last": "P3D"}}}, [("buy", 1)], False, ("buy",), ()),
        ({"op": "any", "of": [QUIET, {**VIEW, "value": 1, "window": {"last": "P9D"}}]},
         [("buy", 50), ("view", 10)], False, (), ("view",)),
    ],
)  # fmt: skip
def test_what_an_event_of_now_would_do(
    node: Any, events: list[tuple[str, int]], matched: bool, extends: tuple[str, ...], ends: tuple[str, ...]
) -> None:
    root = told(node, *((name, row(ago * DAY)) for name, ago in events))
    assert root.flips_at is not None
    assert (root.matched, root.extends, root.ends) == (matched, extends, ends)


def test_a_member_is_explained_by_the_other_rule() -> None:
    keen = {"v": 1, "rule": VIEW, "identified_only": True}
    events = [("view", row(ago * S)) for ago in (1, 2)]
    root = told({"op": "member", "persona": "keen"}, *events, personas={"keen": keen})
    (other,) = root.of
    assert (root.matched, root.traits, root.flips_at) == (False, True, None)
    assert (other.op, other.matched, other.actual, other.threshold) == (
        "member",
        False,
        False,
        {"identified_only": True},
    )
    assert [(node.path, node.matched) for node in other.of] == [("keen: rule", True)]


def test_traits_dates_shares_and_lists() -> None:
    date = {"op": "trait", "path": "t", "cmp": "within_next", "value": "PT10S"}
    root = told(date, traits={"t": (NOW + 15 * S) // S})
    assert (root.matched, root.flips_at, root.traits, root.of[0].actual) == (False, NOW + 5 * S + 1, True, NOW + 15 * S)
    share = told({"op": "bucket", "salt": "x", "from": 0, "to": 10_000}).of[0]
    assert 0 <= share.actual < 10_000
    assert share.threshold == {"from": 0, "to": 10_000}
    assert told({"op": "list", "profiles": ["u_1", "u_0"]}).of[0].actual == "u_0"


def test_an_event_says_which_instant_it_names_and_what_comes_of_it() -> None:
    ends = {**BUY, "agg": {"fn": "first", "prop": "until"}, "cmp": "newer_than", "value": "PT10S"}
    until = rfc3339(NOW - 4 * S)
    root = told(ends, ("buy", row(17 * S, "01", until=until)), ("buy", row(2 * S, "02", until=NOW - S)))
    assert (root.matched, root.flips_at, root.either) == (True, NOW + 9 * S, ("buy",)), "the second is first by then"
    (leaf,) = root.of
    assert (leaf.actual, leaf.threshold, leaf.counted) == (NOW - 4 * S, {"cmp": "newer_than", "value": "PT10S"}, 2)


@pytest.mark.parametrize(
    ("node", "wrong"),
    [
        ({"op": "trait", "path": "n", "cmp": "gt", "value": 3}, 1),
        ({"op": "trait", "path": "n", "cmp": "eq", "value": "5"}, 0),
        ({"op": "trait", "path": "n", "cmp": "in", "value": [5, True]}, 1),
        ({"op": "trait", "path": "none", "cmp": "gt", "value": 3}, 0),
        ({"op": "trait", "path": "n", "cmp": "newer_than", "value": "P1D"}, 1),
        ({"op": "trait", "path": "l", "cmp": "prefix", "value": "x"}, 1),
        ({"op": "trait", "path": "l", "cmp": "contains", "value": "x"}, 0),
        ({"op": "trait", "path": "n", "cmp": "contains", "value": 5}, 1),
        ({"op": "trait", "path": "n", "cmp": "exists"}, 0),
        ({**BUY, "where": {"op": "not", "of": {"op": "trait", "path": "total", "cmp": "gt", "value": 3}}}, 2),
        ({**BUY, "agg": {"fn": "sum", "prop": "total"}}, 2),
        ({**BUY, "agg": {"fn": "last", "prop": "total"}}, 1),
        ({**BUY, "agg": {"fn": "last", "prop": "total"}, "cmp": "newer_than", "value": "P1D"}, 1),
        ({**BUY, "agg": {"fn": "first", "prop": "total"}, "cmp": "newer_than", "value": "P1D"}, 0),
        ({**BUY, "agg": {"fn": "distinct", "prop": "total"}}, 0),
        ({"op": "not", "of": {"op": "trait", "path": "n", "cmp": "lt", "value": 3}}, 1),
    ],
)
def test_values_that_cannot_be_compared_are_counted(node: Any, wrong: int) -> None:
    events = [("buy", row(ago * S, total=total)) for ago, total in enumerate(("9", "8", 7, None))]
    assert mismatches(told(node, *events, traits={"n": "5", "l": ["x"]})) == wrong


def test_too_many_events_are_owned_up_to() -> None:
    facts = Facts("u_0", False, {}, {"view": [row(S)], "buy": []}, 400 * DAY, frozenset({"view", "other"}))
    assert explain(parse({"v": 1, "rule": {"op": "any", "of": [VIEW, BUY]}}), facts, NOW).capped == ("view",)


def test_random_rules_are_explained_as_they_are_judged() -> None:
    assert sum(explained(seed) for seed in range(600)) > 60


def explained(seed: int) -> bool:
    """Asserts that the explanation is what the oracle says; whether it names an instant."""
    rnd = random.Random(seed)
    of = make.scale(rnd)
    personas = make.personas(rnd, of)
    document, traits = make.document(rnd, of, tuple(personas)), make.traits(rnd, of)
    events, identified = make.events(rnd, of, future=False), rnd.random() < 0.5
    facts = make.facts(events, traits, identified=identified, of=of)
    root = explain(parse(document, resolve=personas.get), facts, of.now)

    def truth(now: int) -> bool:
        known: Any = {"traits": traits, "identified": identified, "retention": of.retention, "personas": personas}
        return member(document, World(events, now=now, **known))

    until = root.flips_at or of.now + 2 * of.retention
    assert all(truth(instant) is root.matched for instant in of.instants(until)), seed
    assert root.flips_at is None or truth(root.flips_at) is not root.matched, seed
    assert_adds_up(root)
    return root.flips_at is not None


def test_random_rules_are_moved_as_they_say() -> None:
    found = [moved(seed) for seed in range(4_000)]
    assert sum(ends for ends, _ in found) > 60
    assert sum(later for _, later in found) > 30


def moved(seed: int) -> tuple[int, int]:
    """Asserts that an event of now does to the rule what its explanation says: how many end, and how many put off."""
    rnd = random.Random(seed)
    of = make.scale(rnd)
    document, traits = make.document(rnd, of), make.traits(rnd, of)
    if any(word in str(document) for word in ("where", "agg", "same")):
        return 0, 0  # what else an event has to be is not said
    rule = parse(document)
    facts = make.facts(make.events(rnd, of, future=False), traits, identified=rnd.random() < 0.5, of=of)
    root, later = explain(rule, facts, of.now), 0
    for name in (*root.ends, *root.extends):
        happened = Row(of.now, b"\xff" * 4)
        rows = {**facts.events, name: [happened, *facts.events.get(name, ())]}
        after = explain(rule, msgspec.structs.replace(facts, events=rows), of.now)
        assert (after.matched is root.matched) is (name in root.extends), (seed, name)
        if name in root.extends and root.flips_at is not None:
            assert after.flips_at is None or after.flips_at >= root.flips_at, (seed, name)
            later += after.flips_at is None or after.flips_at > root.flips_at
    return len(root.ends), later


def assert_adds_up(node: Explanation) -> None:
    """What is said of a node follows from what is said below it."""
    below = [each.matched for each in node.of]
    if node.op in ("all", "rule", "member"):
        assert node.matched is (all(below) and node.actual is not False)
    if node.op == "any":
        assert node.matched is any(below)
    if node.op == "not":
        assert node.matched is not below[0]
    for each in node.of:
        assert_adds_up(each)
