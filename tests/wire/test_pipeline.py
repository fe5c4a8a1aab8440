"""The pipeline's corpus: each file of `pipeline/` is a request, the events it means, and the answer it gets.

`body`: JSON, as it is sent; or `text`: a list of strings and [string, times] pairs, for what is no JSON. `events`: the
canonical events, without what is at its default. `answer`: without the batch id.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestion.dialects import pipeline
from ingestion.events import Event
from persona.lib.problems import Problem
from tests.ingestion.calling import INGEST, Got, Shop, call, call_view, db, empty_shop, lasting, way_in

__all__ = ["db", "empty_shop", "lasting", "way_in"]  # fixtures

CASES = sorted((Path(__file__).parent / "pipeline").glob("*.json"))
USUAL = msgspec.to_builtins(Event(index=-1, kind="track", name=""))


def case(path: Path) -> tuple[bytes, dict[str, Any]]:
    """The body and the file."""
    found = msgspec.json.decode(path.read_bytes())
    if "body" in found:
        return msgspec.json.encode(found["body"]), found
    parts = ((part, 1) if isinstance(part, str) else part for part in found["text"])
    return "".join(text * times for text, times in parts).encode(), found


def shown(event: Event) -> dict[str, Any]:
    """A canonical event without what is at its default."""
    return {name: value for name, value in msgspec.to_builtins(event).items() if value != USUAL[name] or name == "kind"}


def understood(body: bytes) -> list[dict[str, Any]]:
    try:
        return [shown(event) for event in pipeline.read(body).events]
    except Problem:
        return []


def answered(answer: Got) -> dict[str, Any]:
    document = answer.json()
    if answer.status == 202:
        assert document.pop("batchId").startswith("b_")
    else:
        document = {"code": answer.code}
    return {"status": answer.status, **document}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_a_request_means(path: Path) -> None:
    body, expected = case(path)
    assert understood(body) == expected["events"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_is_answered(path: Path, empty_shop: Shop) -> None:
    body, expected = case(path)
    headers = {"authorization": f"Bearer {empty_shop.pk}", "x-request-id": "same"}
    for way in (call, call_view):
        assert answered(way("POST", INGEST, headers=headers, body=body)) == expected["answer"]
    kept = [bytes(row.body) for row in empty_shop.rows()]
    assert kept == ([body] * 2 if expected["answer"]["status"] == 202 else [])


def of_events() -> list[Path]:
    """Cases about single events, with room for two more."""
    found = []
    for path in CASES:
        _, expected = case(path)
        if "body" in expected and expected["answer"]["status"] == 202:
            found.append(path)
    return found


@pytest.mark.parametrize("path", of_events(), ids=lambda path: path.stem)
def test_a_bad_event_costs_no_other(path: Path) -> None:
    """The same events between two good ones: both good ones are taken, and the rest is as before."""
    _, expected = case(path)
    batch = expected["body"]["batch"]
    good = {"type": "track", "event": "good"}
    reading = pipeline.read(msgspec.json.encode({**expected["body"], "batch": [good, *batch, good]}))
    assert [event.name for event in reading.events if event.index in (0, len(batch) + 1)] == ["good", "good"]
    assert [rejection.index - 1 for rejection in reading.rejections] == [
        error["index"] for error in expected["answer"].get("errors", [])
    ]
