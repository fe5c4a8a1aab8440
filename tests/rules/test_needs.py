"""What a rule says of itself before it is judged: names, needs, traits, polarity. And whether its page is true."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from segments.rules import (
    Need,
    Row,
    any_event,
    compiled,
    facts_from,
    gate,
    has_traits,
    members,
    merge_needs,
    names,
    needs,
    parse,
)

DAY = 86_400_000
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rules.md"


def rule(node: Any) -> Any:
    return parse({"v": 1, "rule": node})


def event(name: str, cmp: str = "gte", value: Any = 1, **more: Any) -> dict[str, Any]:
    return {"op": "event", "event": name, "cmp": cmp, "value": value, **more}


@pytest.mark.parametrize(
    ("cmp", "value", "limit"),
    [("gte", 3, 3), ("gt", 3, 4), ("lt", 3, 3), ("lte", 3, 4), ("eq", 3, 4), ("in", [5, 2], 6), ("gte", 0, 0)],
)
def test_a_count_needs_only_the_newest_that_decide(cmp: str, value: Any, limit: int) -> None:
    assert needs(rule(event("view", cmp, value, window={"last": "P1D"}))) == (Need("view", DAY, limit),)


@pytest.mark.parametrize(
    ("node", "need"),
    [
        (event("a"), Need("a", None, 1)),
        (event("a", where={"op": "trait", "path": "p", "cmp": "exists"}), Need("a", None, None, frozenset({"p"}))),
        (event("a", agg={"fn": "sum", "prop": "t"}), Need("a", None, None, frozenset({"t"}))),
        (event("a", agg={"fn": "last", "prop": "t"}), Need("a", None, 1, frozenset({"t"}))),
        (event("a", "older_than", "P1D", agg={"fn": "last", "prop": "t"}), Need("a", None, 1, frozenset({"t"}))),
        (event("a", "older_than", "P1D", agg={"fn": "first", "prop": "t"}), Need("a", None, None, frozenset({"t"}))),
        (event("a", agg={"fn": "max", "prop": "x.y"}), Need("a", None, None, frozenset({"x", "x.y"}))),
        (event("a", agg={"fn": "max", "prop": '"x.y"'}), Need("a", None, None, frozenset({"x.y"}))),
        (event("a", agg={"fn": "max", "prop": "context.x"}), Need("a", None, None, frozenset(), frozenset({"x"}))),
        (event("a", window={"between": ["P9D", "P3D"]}), Need("a", 9 * DAY, None)),
        ({"op": "since", "event": "a", "which": "last", "cmp": "lt", "value": "P1D"}, Need("a", None, 1)),
        ({"op": "since", "event": "a", "which": "first", "cmp": "lt", "value": "P1D"}, Need("a", None, 0, oldest=True)),
        (
            {
                "op": "sequence",
                "steps": [{"event": "a"}],
                "within": "P1D",
                "same": ["cart.id"],
                "window": {"last": "P3D"},
            },
            Need("a", 3 * DAY, None, frozenset({"cart", "cart.id"})),
        ),
        (event("a", window={"calendar": "month", "back": 1, "tz": "UTC"}), Need("a", 63 * DAY, None)),
        (event("a", window={"calendar": "day", "back": 0, "tz": "UTC"}), Need("a", 2 * DAY, 1)),
        ({"op": "since", "event": "*", "which": "last", "cmp": "lt", "value": "P1D"}, Need("*", None, 1)),
    ],
)
def test_what_each_leaf_needs(node: Any, need: Need) -> None:
    assert needs(rule(node)) == (need,)


def test_needs_of_one_name_are_merged() -> None:
    one = Need("a", DAY, 3, frozenset({"x"}))
    assert merge_needs([[one, Need("b", None, 1)], [Need("a", 2 * DAY, 1, frozenset({"y"}), frozenset({"c"}))]]) == (
        Need("a", 2 * DAY, 3, frozenset({"x", "y"}), frozenset({"c"})),
        Need("b", None, 1),
    )
    assert merge_needs([[one], [Need("a", None, None)]]) == (Need("a", None, None, frozenset({"x"})),)
    assert merge_needs([]) == ()


def test_names_and_traits() -> None:
    trait = {"op": "trait", "path": "plan", "cmp": "exists"}
    both = rule({"op": "any", "of": [event("a"), {"op": "not", "of": {"op": "all", "of": [event("b"), trait]}}]})
    assert names(both) == {"a", "b"}
    assert has_traits(both)
    assert not any_event(both)
    assert not members(both)
    assert not has_traits(rule(event("a", where=trait))), "a trait of an event is none of the profile"


def test_polarity_follows_the_tree() -> None:
    denied = [{"op": "not", "of": event(name)} for name in ("down", "both")]
    node = {"op": "all", "of": [event("up"), event("eq", "eq"), event("both"), *denied]}
    assert compiled(rule(node)).polarity == {"up": 1, "down": -1, "eq": 0, "both": 0}


def test_polarity_of_sequences() -> None:
    steps = {"op": "sequence", "steps": [{"event": "a"}, {"event": "b"}], "within": "P1D"}
    absent = {"absent": {"event": "c", "within": "P1D"}}
    assert compiled(rule(steps)).polarity == {"a": 1, "b": 1}
    assert compiled(rule({**steps, "strict": True})).polarity == {"a": 0, "b": 0}
    assert compiled(rule({**steps, **absent})).polarity == {"a": 1, "b": 1, "c": -1}
    assert compiled(rule({**steps, "absent": {"event": "a", "within": "P1D"}})).polarity == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    ("names", "member", "other"),
    [
        (["up"], False, True),
        (["down"], True, False),
        (["both"], True, True),
        (["up", "down"], True, True),
        (["unknown"], False, False),
        ([], False, False),
    ],
)
def test_a_gate_lets_pass_what_can_only_confirm(names: list[str], member: bool, other: bool) -> None:
    polarity = {"up": 1, "down": -1, "both": 0}
    assert (gate(polarity, True, names), gate(polarity, False, names)) == (member, other)


def test_any_event_goes_through_the_gate_under_every_name() -> None:
    assert gate({"*": 1}, False, ["whatever"])
    assert not gate({"*": 1}, True, ["whatever"])
    assert gate({"*": 1, "a": -1}, True, ["a"])


def test_a_rule_needs_what_the_rules_of_its_members_need() -> None:
    known = {"v": 1, "rule": event("view", value=2), "identified_only": True}
    middle = {"v": 1, "rule": {"op": "not", "of": {"op": "member", "persona": "known"}}}
    both = {"op": "all", "of": [event("buy"), {"op": "member", "persona": "middle"}]}
    documents = {"known": known, "middle": middle}
    parsed = parse({"v": 1, "rule": both}, resolve=documents.get)
    assert members(parsed) == {"known", "middle"}
    assert compiled(parsed).needs == (Need("buy", None, 1), Need("view", None, 2))
    assert compiled(parsed).polarity == {"buy": 1, "view": -1}
    assert has_traits(parsed), "who gets a userId enters known"
    assert (parsed.height, parsed.nodes) == (2, 6)


def test_a_sequence_over_ten_thousand_events_is_quick() -> None:
    """Of eight steps that could begin and end nearly anywhere: who tried all ways would not come back."""
    steps = [{"event": name} for name in "abababab"]
    node = {"op": "sequence", "steps": steps, "within": "P1D", "same": ["k"], "absent": {"event": "c", "within": "P1D"}}
    rows = [("ab"[n % 2], Row(n, n.to_bytes(4, "big"), {"k": n % 3})) for n in range(10_000)]
    assert compiled(rule(node)).value(facts_from(rows), 2 * DAY) == 9_978 + 400 * DAY


def test_rules_that_differ_only_by_type_are_not_taken_for_each_other() -> None:
    one, true = (rule({"op": "trait", "path": "a", "cmp": "eq", "value": value}) for value in (1, True))
    assert compiled(one) is compiled(one)
    assert compiled(one) is not compiled(true)


def test_every_example_of_the_page_is_a_rule() -> None:
    text = PAGE.read_text()
    documents = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    nodes = [json.loads(node) for node in re.findall(r'`({"op".*?})`', text)]
    shapes = re.findall(r'^\| `({"(?:last|between|from|calendar)".*?})`', text, re.MULTILINE)
    windows = [json.loads(window) for window in shapes]
    assert (len(documents), len(nodes), len(windows)) == (2, 6, 4)
    for document in documents:
        parse(document)
    for node in [*nodes, *(event("a", window=window) for window in windows)]:
        parse({"v": 1, "rule": node}, resolve=lambda _: documents[0])
