"""The published schema and the grammar agree, as far as a schema can know."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it comes without types

from persona.lib.clock import MS_PER_DAY
from segments.rules import RuleError, parse
from segments.rules.operands import OPERANDS
from segments.rules.schema import SHAPES, schema
from tests.effort import tries
from tests.rules import make
from tests.rules.test_cases import CASES, REFUSALS

PUBLISHED = Path(__file__).parents[2] / "segments" / "rules" / "schema.json"
VALIDATOR = Draft202012Validator(schema())
# Counting over the whole document, the retention, other personas, zones, calendars, what is greater than what.
BEYOND = (
    "has at most 64 nodes",
    "is at most 6 nodes deep",
    "in at most 16 places",
    "nothing is longer than",
    "further back",
    "the greater one first",
    "after its beginning",
    "to is greater than from",
    "There is no persona",
    "in a circle",
    "At most 5 personas",
    "at most 256 nodes",
    "In the rule of",
    "A time zone is named",
    "cannot be stored",  # NUL the schema knows, but nobody can send it half of a surrogate pair
)
# What is put somewhere into a document, in the place of what stands there.
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.0, 0.0, 0.5, 9_999, 10_000, 10_001, 10**400, -(10**308), 1e308, "", "*", "a",
    "x" * 201, "a\x00",
    "x" * 501, "x" * 1_001, [], [None], [1], ["a"], [1] * 1_000, [1] * 1_001, ["a"] * 9, {}, {"op": "all", "of": []},
    {"op": "trait", "path": "a", "cmp": "exists"}, {"op": "member", "persona": "one"}, {"event": "a"}, {"last": "P1D"},
    {"between": ["P2D", "P1D"]}, {"fn": "count"}, {"fn": "sum", "prop": "a"},
    {"from": "2026-01-01", "to": "2026-01-02"},
    "P1D", "PT0.5S", "P0D", "PT0.000S", "P", "PT", "P1DT", "P1M", "P1D\n", "P\u0663D", "P9999999D",
    "2024-02-29", "2026-02-29", "1900-02-29", "2000-02-29T10:00Z",
    "2026-01-01", "2026-02-30", "2026-04-31", "2026-02-28T", "2026-02-28T25:00:00Z", "2026-02-28 10:00", "0000-01-01",
    " 2026-02-28\n", "2026-06-09T10:14:60.123456789+0330", "2026-06-09T10:14Zx", "\u0662\u0660\u0662\u0666-02-28",
    "a.b", "a..b", '"a.b".c', '"a', "a\n", "u_a", "u_a\n", "u_\u00e9", "UTC", "day", "eq", "in", "exists", "older_than",
)  # fmt: skip
KEYS = ("op", "of", "value", "cmp", "where", "window", "agg", "prop", "absent", "same", "if_never", "x")


def test_the_published_file_is_what_the_code_says() -> None:
    assert json.loads(PUBLISHED.read_text()) == schema(), "python -m segments.rules.schema writes it"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())
    assert SHAPES.keys() - {"nothing"} == OPERANDS.keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_the_grammar_takes_the_schema_takes(case: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(case["document"])


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case['path']}: {case['detail']}")
def test_what_the_grammar_refuses_the_schema_refuses(case: dict[str, Any]) -> None:
    with pytest.raises(RuleError) as caught:
        parse(case["document"], retention=400 * MS_PER_DAY, resolve=case.get("personas", {}).get, slug=case.get("slug"))
    if not any(word in caught.value.detail for word in BEYOND):
        assert not VALIDATOR.is_valid(case["document"])


def test_random_rules_are_valid() -> None:
    rnd = random.Random(3)
    for _ in range(60):
        document = make.document(rnd, make.scale(rnd), ("one",))
        assert VALIDATOR.is_valid(document), document


@pytest.mark.parametrize("seed", range(tries(2, plain=1)))
def test_documents_gone_wrong_are_refused_by_both_or_by_none(seed: int) -> None:
    rnd = random.Random(seed)
    refused = 0
    for _ in range(120):
        document = spoiled(rnd, make.document(rnd, make.scale(rnd), ("one",)))
        why = refusal(document)
        if why is None or not any(word in why for word in BEYOND):
            assert VALIDATOR.is_valid(document) is (why is None), (why, document)
        refused += why is not None
    assert 40 < refused < 118


def refusal(document: Any) -> str | None:
    try:
        parse(document, retention=400 * MS_PER_DAY, resolve={"one": ONE}.get)
    except RuleError as error:
        return error.detail
    return None


ONE = {"v": 1, "rule": {"op": "trait", "path": "a", "cmp": "exists"}}


def spoiled(rnd: random.Random, document: Any) -> Any:
    """A copy with something somewhere in it left out, added, or another."""
    document = json.loads(json.dumps(document))
    places = list(below(document["rule"], document, "rule"))
    parent, key = rnd.choice(places)
    match rnd.randrange(5):
        case 0 if isinstance(parent, dict):
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[rnd.choice(KEYS)] = rnd.choice(ODD)
        case _:
            parent[key] = rnd.choice(ODD)
    return document


def below(value: Any, parent: Any, key: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of a document, as the object or list it is in and its key there."""
    yield parent, key
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for each, one in inner:
        yield from below(one, value, each)
