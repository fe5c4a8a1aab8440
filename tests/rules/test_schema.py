"""The published schema and the grammar agree, as far as a schema can know."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it comes without types

from persona.lib.clock import MS_PER_DAY
from segments.rules import RuleError, parse
from segments.rules.operands import OPERANDS
from segments.rules.schema import SHAPES, schema
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
    "is longer than nothing",
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
    "cannot be stored",
    ", not 1.0.",  # which is an integer in JSON Schema
    "is the number 1.",  # and so it is here
)


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
