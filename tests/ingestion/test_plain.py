"""What the decoder alone finds good is read as it would be event by event; whatever else there is, it leaves."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestion import plain
from ingestion.dialects import pipeline
from ingestion.events import EVENT_BYTES, Outcome
from persona.lib.problems import Problem
from tests.wire.test_pipeline import case

CORPUS = sorted((Path(__file__).parents[1] / "wire" / "pipeline").glob("*.json"))
NOW = "2026-06-09T10:14:05.123Z"
TRACK: dict[str, Any] = {"type": "track", "event": "seen", "userId": "u"}
DEEP = {"library": {"name": "x", "brands": [{"brand": "y", "version": 1.5}]}, "mobile": False, "none": None}


def batch(*events: dict[str, Any], **more: Any) -> bytes:
    return msgspec.json.encode({"batch": events, **more})


def both(body: bytes) -> int:
    """What is counted, having compared it with what is read."""
    counted = plain.counted(body)
    try:
        outcome = pipeline.read(body).outcome
    except Problem:
        assert counted == 0
    else:
        assert counted == 0 or Outcome(counted) == Outcome(outcome.taken, tuple(outcome.rejections), outcome.warnings)
        assert pipeline.accepted(pipeline.judge(body), "b_1") == pipeline.accepted(outcome, "b_1")
        assert counted == 0 or pipeline.read(body) == pipeline._read_apart(body)
    return counted


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus(path: Path) -> None:
    both(case(path)[0])


@pytest.mark.parametrize(
    "event",
    [
        TRACK,
        {
            **TRACK,
            "userId": 2**63 - 1,
            "messageId": "",
            "timestamp": NOW,
            "context": DEEP,
            "properties": {**DEEP, "products": [{"sizes": [1]}]},
        },
        {**TRACK, "event": "é" * 200, "anonymousId": "é" * 512, "name": None, "groupId": [1]},
        {"type": "identify", "traits": {"tags": ["a", 1, True, [1, 2]]}, "timestamp": "2026-06-09"},
        {"type": "page", "name": "Pricing", "event": "\x01"},
        {"type": "screen", "event": None},
        {"type": "group", "groupId": 7, "traits": {}},
    ],
)
def test_what_is_plain(event: dict[str, Any]) -> None:
    assert both(batch(event)) == 1
    assert both(batch(*[event] * 3, sentAt=NOW, context=DEEP, other={"is": "no matter"})) == 3
    assert both(batch(event, {**TRACK, "properties": {"a": "x" * 90_000}})) == 2


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "track"},
        {"type": "alias", "userId": "u", "previousId": "a"},
        {"type": "nothing"},
        {**TRACK, "event": ""},
        {**TRACK, "event": "é" * 201},
        {**TRACK, "userId": "é" * 513},
        {**TRACK, "userId": True},
        {**TRACK, "userId": 2**64},
        {**TRACK, "messageId": "a\x00b"},
        {**TRACK, "properties": {"a\x00": 1}},
        {**TRACK, "properties": {"a": 2**64}},
        {**TRACK, "properties": {"a": -(2**63) - 1}},
        {**TRACK, "properties": [1]},
        {**TRACK, "timestamp": "yesterday"},
        {**TRACK, "timestamp": "2026-06-09T10:14:05.1234567890Z"},
        {**TRACK, "timestamp": 5},
        {**TRACK, "unknown": 1},
        {**TRACK, "properties": {"a": {"b": {"c": {"d": {"e": 1}}}}}},
    ],
)
def test_what_is_looked_at_closer(event: dict[str, Any]) -> None:
    assert both(batch(event)) == 0
    assert both(batch(TRACK, event)) == 0


@pytest.mark.parametrize(
    "body",
    [
        batch(),
        batch(*[TRACK] * 257),
        batch(TRACK, sentAt="now"),
        batch(TRACK, sentAt=5),
        batch(TRACK, context={"a": 2**64}),
        batch(TRACK, context="home"),
        batch({**TRACK, "properties": {"a": "x" * EVENT_BYTES}}),
        batch(TRACK, context={"a": "x" * plain.CONTEXT_BYTES}),
        batch({**TRACK, "properties": {"a": "x" * plain.CONTEXT_BYTES}}, context={"a": 1}),
        b'{"batch":[{"type":"track","event":"x","properties":{"a":1e400}}]}',
        b'{"batch":[{"type":"track","event":"x","properties":{"a":"\\ud800"}}]}',
        b'{"batch":[{"type":"track","event":"x","properties":{"a":"\xff"}}]}',
        b'{"batch":[{"type":"track","event":"x"}]} more',
        b'{"batch":' + b"[" * 10_000,
        b"",
    ],
)
def test_bodies_that_are_looked_at_closer(body: bytes) -> None:
    assert both(body) == 0
