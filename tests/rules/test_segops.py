"""Segments of SegOps as rules: document by document, and member by member against their plain meaning."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from persona.lib.clock import MS_PER_DAY
from segments.imports.segops import to_rule
from segments.imports.segops_conditions import CONDITIONS
from segments.imports.segops_operators import OPERATORS, ORDER, REFUSED
from segments.rules import Row, RuleError, facts_from, parse, value
from tests.effort import tries
from tests.rules import segops_meaning as meaning

HERE = Path(__file__).parent / "segops"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "segops-import.md"
CASES = [case for name in ("properties", "events") for case in json.loads((HERE / f"{name}.json").read_text())]
REFUSALS = json.loads((HERE / "refusals.json").read_text())

Json = dict[str, Any]
NOW = 1_780_000_000_000
RETENTION = 12 * MS_PER_DAY
TRUE = {"v": 1, "rule": {"op": "bucket", "salt": "s", "from": 0, "to": 10_000}}


def known(slug: str) -> Json | None:
    return TRUE if slug in ("vip", "staff") else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_segment_becomes_this_rule(case: Json) -> None:
    found = to_rule(case["segment"], personas=case.get("personas"), retention=400 * MS_PER_DAY, resolve=known)
    assert found.rule == {"v": 1, "rule": case["rule"], "identified_only": False}
    assert len(found.notes) == case["notes"]
    assert {note.path for note in found.notes} <= {f"conditions[{at}]" for at in range(len(case["rule"]["of"]))}
    assert all(note.detail.endswith(".") for note in found.notes)
    parse(json.loads(json.dumps(found.rule)), resolve=known)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case['path']}: {case['detail']}")
def test_a_segment_is_refused(case: Json) -> None:
    with pytest.raises(RuleError) as caught:
        to_rule(case["segment"], personas=case.get("personas"), retention=400 * MS_PER_DAY, resolve=known)
    assert caught.value.path == case["path"]
    assert case["detail"] in caught.value.detail
    assert caught.value.detail[-1] in ".?", "a whole sentence"


@pytest.mark.parametrize("document", [None, [], "x", {}, {"logic": "AND"}, {"definition": {}}])
def test_what_is_no_segment_is_refused(document: object) -> None:
    with pytest.raises(RuleError, match="segment"):
        to_rule(document)


def test_the_cases_and_the_page_leave_out_nothing() -> None:
    pairs = {
        (condition["type"], condition.get("operator"))
        for case in (*CASES, *REFUSALS)
        for condition in case["segment"]["conditions"]
        if isinstance(condition, dict) and isinstance(condition.get("operator", ""), str) and "type" in condition
    }
    everything = {*OPERATORS, *REFUSED}
    assert {type_ for type_, _ in pairs} >= set(CONDITIONS)
    assert {operator for type_, operator in pairs if type_ == "user_property"} >= everything
    assert {operator for type_, operator in pairs if type_ == "event_property"} >= set(OPERATORS)
    page = PAGE.read_text()
    assert [operator for operator in everything if f"| `{operator}` |" not in page] == []
    assert [type_ for type_ in CONDITIONS if f"| `{type_}` |" not in page] == []


@pytest.mark.parametrize("seed", range(tries(4, plain=2)))
def test_the_members_are_those_of_the_plain_meaning(seed: int) -> None:
    rnd = random.Random(seed)
    members = 0
    for _ in range(700):
        base, segment = a_segment(rnd, inner=None), a_segment(rnd, inner=7)
        rules = {"base": to_rule(base).rule}
        found = to_rule(segment, personas={"7": "base"}, retention=RETENTION, resolve=rules.get)
        user = a_user(rnd, {7: base})
        got = value(parse(found.rule, resolve=rules.get), facts(user), user.now) > 0
        assert got is meaning.belongs(segment, user), f"seed {seed}: {segment} {base} {user.events} {user.properties}"
        members += got
    assert 150 < members < 550


def test_every_condition_is_drawn_where_it_holds_and_where_it_does_not() -> None:
    rnd = random.Random(1)
    seen = set()
    for _ in range(12_000):
        condition = a_condition(rnd, inner=7)
        user = a_user(rnd, {7: a_segment(rnd, inner=None)})
        seen.add((condition["type"], condition.get("operator"), meaning.judge(condition, user)))
    assert seen == {(*pair, answer) for pair in PAIRS for answer in (True, False)}


# --- made-up segments and users ---

NAMES = ("a", "b", "c")
KEYS = ("p", "q.r")
VALUES: tuple[Any, ...] = (None, True, False, 0, 1, 1.0, 2, 2.5, -3, "", "1", "x", "xy", "yx", ["x", 1], {"r": 1})
SCALARS = tuple(each for each in VALUES if each is not None and not isinstance(each, list | dict))
NUMBERS = (-3, 0, 1, 1.0, 2, 2.5)
WINDOWS = (0.5, 1, 2, 3.25, 7)
PAIRS: list[tuple[str, str | None]] = [
    *(("event_count", operator) for operator in ORDER),
    *(("monetary", operator) for operator in ORDER),
    *(("recency", operator) for operator in ("gt", "lt")),
    *(("event_property", operator) for operator in OPERATORS),
    *(("user_property", operator) for operator in OPERATORS),
    ("event_sequence", None),
    *(("segment_membership", operator) for operator in ("in", "not_in")),
]


def a_segment(rnd: random.Random, inner: int | None) -> Json:
    conditions = [a_condition(rnd, inner) for _ in range(rnd.choice((1, 1, 2, 3)))]
    return {"logic": rnd.choice(("AND", "OR")), "conditions": conditions}


def a_condition(rnd: random.Random, inner: int | None) -> Json:
    type_ = rnd.choice([each for each in CONDITIONS if inner or each != "segment_membership"])
    operator = rnd.choice([found for each, found in PAIRS if each == type_])
    event = {"event_type": rnd.choice(NAMES)}
    compared = {"operator": operator}
    match type_:
        case "event_count":
            window = {"window_days": rnd.choice(WINDOWS)} if rnd.random() < 0.7 else {}
            return {"type": type_, **event, **compared, "value": rnd.randrange(4), **window}
        case "recency":
            return {"type": type_, **event, **compared, "window_days": rnd.choice(WINDOWS)}
        case "monetary":
            metric = rnd.choice(("sum", "avg", "max"))
            amount = {"property": rnd.choice(KEYS), "metric": metric, "value": rnd.choice(NUMBERS)}
            return {"type": type_, **event, **compared, **amount}
        case "event_sequence":
            steps = [rnd.choice(NAMES) for _ in range(rnd.choice((1, 2, 2, 3)))]
            return {"type": type_, "events": steps, "window_days": rnd.choice(WINDOWS), "strict": rnd.random() < 0.5}
        case "segment_membership":
            return {"type": type_, "segment_id": inner, **compared}
    subject = event if type_ == "event_property" else {}
    return {"type": type_, **subject, "property": rnd.choice(KEYS), **compared, **an_operand(rnd, str(operator))}


def an_operand(rnd: random.Random, operator: str) -> Json:
    match operator:
        case "eq" | "neq":
            return {"value": rnd.choice(SCALARS)}
        case "in" | "not_in":
            return {"value": rnd.choices(SCALARS, k=rnd.choice((1, 3)))}
        case "between" | "not_between":
            return {"value": sorted(rnd.choices(NUMBERS, k=2))}
        case "contains" | "does_not_contain" | "starts_with":
            return {"value": rnd.choice(("x", "xy", "1"))}
        case "is_set" | "is_not_set" | "is_true" | "is_false":
            return {}
    return {"value": rnd.choice(NUMBERS)}


def a_user(rnd: random.Random, segments: dict[int, Json]) -> meaning.User:
    """Events at the edges of the windows, a millisecond to either side of them, and often at one instant."""
    ages = [rnd.choice((0, *WINDOWS)) * MS_PER_DAY + rnd.choice((-1, 0, 0, 1)) for _ in range(rnd.choice((0, 3, 8)))]
    instants = sorted(NOW - int(max(age, 0)) for age in ages)
    return meaning.User([(rnd.choice(NAMES), ts, an_object(rnd)) for ts in instants], an_object(rnd), NOW, segments)


def an_object(rnd: random.Random) -> Json:
    """With q.r as one key, and as a key within q, which is another."""
    found = {key: rnd.choice(VALUES) for key in KEYS if rnd.random() < 0.9}
    return {**found, "q": {"r": rnd.choice(VALUES)}}


def facts(user: meaning.User) -> Any:
    rows = [(name, Row(ts, at.to_bytes(2, "big"), found, {})) for at, (name, ts, found) in enumerate(user.events)]
    return facts_from(rows, profile="u_0", identified=True, traits=user.properties, retention=RETENTION)
