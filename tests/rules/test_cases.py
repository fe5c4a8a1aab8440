"""The published cases say what the language means, and refusals.json what it does not accept."""

import json
from pathlib import Path
from typing import Any

import pytest

from persona.lib.clock import MS_PER_DAY
from segments.rules import INF, Row, Rule, RuleError, facts_from, parse, value, written

HERE = Path(__file__).parent
PUBLISHED = HERE.parent.parent / "sdks" / "conformance" / "rules"
CASES = [case for file in sorted(PUBLISHED.glob("*.json")) for case in json.loads(file.read_text())]
REFUSALS = json.loads((HERE / "refusals.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    f = value(parsed(case), facts_of(case), case["now"])
    assert f > 0 or f < 0
    assert ((f > 0), None if abs(f) == INF else abs(f)) == (case["member"], case["flips_at"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_rule_written_back_as_json_is_the_same_rule(case: dict[str, Any]) -> None:
    again = json.loads(json.dumps(written(parsed(case))))
    assert again == {"identified_only": False, **case["document"]}
    assert written(parse(again, resolve=case.get("personas", {}).get)) == written(parsed(case))


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case['path']}: {case['detail']}")
def test_refusal(case: dict[str, Any]) -> None:
    with pytest.raises(RuleError) as caught:
        parse(case["document"], retention=400 * MS_PER_DAY, resolve=case.get("personas", {}).get, slug=case.get("slug"))
    assert caught.value.path == case["path"]
    assert case["detail"] in caught.value.detail
    assert caught.value.detail[-1] in ".?", "a whole sentence"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400])
def test_numbers_that_json_cannot_say_or_a_double_cannot_hold_are_refused(number: float) -> None:
    with pytest.raises(RuleError, match="between -1e308 and 1e308"):
        parse({"v": 1, "rule": {"op": "trait", "path": "age", "cmp": "gte", "value": number}})


def test_the_limits_themselves_are_allowed() -> None:
    leaf = {"op": "event", "event": "x" * 200, "cmp": "gte", "value": 9_999, "window": {"last": "P400D"}}
    deep: dict[str, Any] = {"op": "all", "of": [leaf] * 16}
    for _ in range(4):
        deep = {"op": "not", "of": deep}
    parse({"v": 1, "rule": deep}, retention=400 * MS_PER_DAY)
    scalars = {"op": "trait", "path": "p" * 500, "cmp": "in", "value": list(range(1_000))}
    parse({"v": 1, "rule": {"op": "any", "of": [scalars] * 63}})


def parsed(case: dict[str, Any]) -> Rule:
    return parse(case["document"], resolve=case.get("personas", {}).get)


def facts_of(case: dict[str, Any]) -> Any:
    rows = [
        (
            event["event"],
            Row(
                event["ts"], bytes.fromhex(event.get("uid", "")), event.get("properties", {}), event.get("context", {})
            ),
        )
        for event in case.get("events", ())
    ]
    return facts_from(
        rows, profile=case.get("profile", "u_0"), identified=case.get("identified", False), traits=case.get("traits")
    )
