"""The corpora of the other products' wires: each file is a request to `path`, the events it means, and its answer.

`body`: JSON, as it is sent; or `text`: a list of strings and [string, times] pairs, for what is no JSON.
"""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestion.dialects import DIALECTS, Dialect
from ingestion.events import Event
from ingestion.wires import DOORS
from persona.lib.problems import Problem
from tests.ingestion.calling import Got, Shop, call, call_view, db, empty_shop, lasting, way_in

__all__ = ["db", "empty_shop", "lasting", "way_in"]  # fixtures

FOLDER = Path(__file__).parent
CASES = sorted(path for wire in ("productgraph", "segment", "segops") for path in (FOLDER / wire).glob("*.json"))
USUAL = msgspec.to_builtins(Event(index=-1, kind="track", name=""))
every_case = pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")


def case(path: Path) -> tuple[bytes, dict[str, Any]]:
    """The body and the file."""
    found = msgspec.json.decode(path.read_bytes())
    if "body" in found:
        return msgspec.json.encode(found["body"]), found
    parts = ((part, 1) if isinstance(part, str) else part for part in found["text"])
    return "".join(text * times for text, times in parts).encode(), found


def dialect_of(expected: dict[str, Any]) -> Dialect:
    return DIALECTS[expected["dialect"]]


def shown(event: Event) -> dict[str, Any]:
    """A canonical event without what is at its default."""
    return {name: value for name, value in msgspec.to_builtins(event).items() if value != USUAL[name] or name == "kind"}


def understood(dialect: Dialect, body: bytes) -> list[dict[str, Any]]:
    try:
        return [shown(event) for event in dialect.read(body).events]
    except Problem:
        return []


def said(answer: Got) -> object:
    return answer.json() if answer.headers["content-type"] == "application/json" else answer.body.decode()


@every_case
def test_what_a_request_means(path: Path) -> None:
    body, expected = case(path)
    assert understood(dialect_of(expected), body) == expected["events"]


@every_case
def test_what_is_answered(path: Path, empty_shop: Shop) -> None:
    """With and without the trailing slash, through raw ASGI and Django, compressed or not: the same."""
    body, expected = case(path)
    headers = {"authorization": f"ApiKey {empty_shop.sk}"}
    given = expected["path"].rstrip("/")
    answers = [
        call("POST", given, headers=headers, body=body),
        call("POST", given + "/", headers={**headers, "content-encoding": "gzip"}, body=gzip.compress(body)),
        call_view("POST", given, headers=headers, body=body),
        call_view("POST", given + "/", headers=headers, body=body),
    ]
    assert [(answer.status, said(answer)) for answer in answers] == [(expected["status"], expected["answer"])] * 4
    rows = empty_shop.rows()
    something = bool(expected["events"]) or _rejected(dialect_of(expected), body)
    assert [row.dialect for row in rows] == [expected["dialect"]] * (4 if something else 0)
    assert {bytes(row.body) for row in rows} <= {body}


def _rejected(dialect: Dialect, body: bytes) -> bool:
    try:
        return bool(dialect.read(body).rejections)
    except Problem:
        return False


@every_case
def test_a_dead_letter_reads_as_it_did(path: Path) -> None:
    """Each event, alone in the frame of its request, means the same; and a refused one never holds the key."""
    body, expected = case(path)
    dialect = dialect_of(expected)
    try:
        reading = dialect.read(body)
    except Problem:
        return
    frame = dialect.frame(body)
    events = dialect.as_sent(body)
    for event in reading.events:
        again = dialect.read(dialect.alone(events[event.index], frame))
        assert (again.events, again.sent_at) == ([msgspec.structs.replace(event, index=0)], reading.sent_at)
    for bad in reading.rejections:
        assert dialect.read(dialect.alone(events[bad.index], frame)).rejections[0].code == bad.code
        assert b"pk_live" not in bad.body + events[bad.index] + frame


@every_case
def test_of_a_locked_person(path: Path) -> None:
    """Whoever an event claims to be of, it is of the person that the session is locked to."""
    body, expected = case(path)
    dialect = dialect_of(expected)
    try:
        locked = dialect.read(dialect.spoken_by(body, "alice", None))
    except Problem:
        return
    assert {(event.user_id, event.anonymous_id, event.previous_id) for event in locked.events} <= {
        ("alice", None, None)
    }
    assert locked.n == dialect.read(body).n


def test_every_wire_has_cases() -> None:
    """A dialect is a file and its captured payloads."""
    assert {case(path)[1]["path"].rstrip("/") for path in CASES} <= set(DOORS)
    assert {case(path)[1]["dialect"] for path in CASES} == {door for door in DIALECTS if door not in APART}


APART = ("pipeline", "shopify")  # with corpora of their own
