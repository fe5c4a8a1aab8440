"""Random rules in random worlds against the oracle; FUZZ_SECONDS makes it run longer than the suite can afford."""

import itertools
import operator
import os
import random
import time
from typing import Any

import msgspec
import pytest

from segments.rules import LANGUAGE, Language
from segments.rules.compare import Comparator, ordered
from segments.rules.nodes import Absolute, Between, Event, Last, Since
from segments.rules.windows import Span
from tests.rules.fuzz import trial

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
TRIALS = 8_000


def test_the_engine_agrees_with_the_oracle_at_every_instant_it_promises() -> None:
    first = random.SystemRandom().randrange(1 << 40) if SECONDS else 1
    stop = time.monotonic() + SECONDS
    ends = flips = 0
    for n in itertools.count():
        if n >= TRIALS and time.monotonic() >= stop:
            break
        outcome = trial(first + n)
        assert outcome.wrong is None, outcome.wrong
        ends += outcome.ends
        flips += outcome.flips
    print(f"{n} trials from seed {first}, {ends} answers with an end, of which {flips} flipped there")  # noqa: T201
    assert ends > TRIALS / 20
    assert flips > 0.9 * ends, f"of {ends} timers only {flips} were for something"


def swapped(name: str, make: Any) -> Language:
    comparators = {**LANGUAGE.comparators, name: Comparator("orderable", make)}
    return LANGUAGE._replace(comparators=comparators)


def window(kind: type = Last, **replaced: Any) -> Language:
    def made(node: Any) -> Span:
        span = LANGUAGE.windows[kind](node)
        return span._replace(**{name: function(span) for name, function in replaced.items()})

    return LANGUAGE._replace(windows={**LANGUAGE.windows, kind: made})


def aggregate(name: str, **replaced: Any) -> Language:
    aggregates = {**LANGUAGE.aggregates, name: LANGUAGE.aggregates[name]._replace(**replaced)}
    return LANGUAGE._replace(aggregates=aggregates)


def forgetful(kind: type) -> Language:
    """Says of every leaf of a kind that no event can harm it."""

    def leaf(node: Any, language: Language) -> Any:
        return LANGUAGE.leaves[kind](node, language)._replace(polarity={node.event: 1})

    return LANGUAGE._replace(leaves={**LANGUAGE.leaves, kind: leaf})


def newest_first(node: Since, language: Language) -> Any:
    """Takes the last event for the first."""
    return LANGUAGE.leaves[Since](msgspec.structs.replace(node, which="last"), language)


def _later(span: Span, now: int, kept: int) -> tuple[int, int]:
    after, upto = span.bounds(now, kept)
    return after, upto + 1


MUTANTS = {
    "gt for gte": swapped("gte", ordered(operator.gt)),
    "gte for gt": swapped("gt", ordered(operator.ge)),
    "lt for lte": swapped("lte", ordered(operator.lt)),
    "lte for lt": swapped("lt", ordered(operator.le)),
    "eq without types": swapped("eq", lambda operand: lambda value: value == operand),
    "null is a value": swapped("exists", lambda _: lambda _value: True),
    "a window a millisecond too long": window(
        bounds=lambda span: lambda now, kept: (span.bounds(now, kept)[0] - 1, now),
        leaves=lambda span: lambda ts, kept: span.leaves(ts, kept) + 1,
    ),
    "a window that forgets retention": window(
        bounds=lambda span: lambda now, _: (now - span.age, now), leaves=lambda span: lambda ts, _: ts + span.age
    ),
    "events of the future count": window(
        bounds=lambda span: lambda now, kept: (span.bounds(now, kept)[0], now + 1_000)
    ),
    "events leave a millisecond late": window(leaves=lambda span: lambda ts, kept: span.leaves(ts, kept) + 1),
    "events never enter": window(enters=lambda _: lambda _ts: 1 << 62),
    "a count that stops too early": aggregate("count", limit=lambda cmp, value: 1),
    "a sum that is always 0": aggregate("sum", states=lambda values: [0] * (len(values) + 1)),
    "first is last": aggregate("first", states=LANGUAGE.aggregates["last"].states),
    "between, a millisecond too early": window(Between, bounds=lambda span: lambda now, kept: _later(span, now, kept)),
    "between, entering a millisecond late": window(Between, enters=lambda span: lambda ts: span.enters(ts) + 1),
    "from-to, its beginning left out": window(
        Absolute, bounds=lambda span: lambda now, kept: (span.bounds(now, kept)[0] + 1, span.bounds(now, kept)[1])
    ),
    "since the last for since the first": LANGUAGE._replace(leaves={**LANGUAGE.leaves, Since: newest_first}),
    "wrong polarity of event": forgetful(Event),
    "wrong polarity of since": forgetful(Since),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_planted_mistakes_are_found(mutant: Language) -> None:
    assert any(trial(seed, mutant).wrong for seed in range(1, 5 * TRIALS))
