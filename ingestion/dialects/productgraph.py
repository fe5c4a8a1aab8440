"""ProductGraph's wire: `POST /v1/events` with `{"events": [...]}`; the keys of an event are flat and have dots."""

import msgspec

from ingestion import envelope
from ingestion.events import Event, Json, Limits, Outcome, Reading, Rejection
from ingestion.storable import Unfit, check_object, known_id, known_name
from persona.lib.problems import Problem
from persona.lib.wire import Answer

NAME = "productgraph"
LIMITS = Limits(body_bytes=10 * 1024 * 1024, events=1_000)
EVENTS = "events"

ALIAS, ALIASED = "product_id", "project_id"
REQUIRED = ("event_id", ALIASED, "session.id", "event.type", "event.timestamp")  # in the order of complaint
APART = frozenset({"event_id", "event.type", "event.timestamp", "user.id", "user.anonymous_id"})  # no properties
WORDS = {"event.field_missing": "required", "event.timestamp_invalid": "invalid", "event.too_large": "too large"}


def read(body: bytes) -> Reading:
    """Raises Problem 400 when `body` holds no array of at most 1,000 events."""
    return envelope.read_each(as_sent(body), _event)


def judge(body: bytes) -> Outcome:
    """Raises as `read` does."""
    return read(body).outcome


def accepted(outcome: Outcome, batch_id: str) -> Answer:
    """202: how many are taken, and the first thing that is wrong with each of the others."""
    errors = [{"index": bad.index, "error": _words(bad)} for bad in outcome.rejections]
    document = {"accepted": outcome.taken, "rejected": len(errors), "errors": errors}
    return Answer(202, msgspec.json.encode(document))


def refused(problem: Problem) -> Answer:
    """One line of text."""
    line = f"{problem.code}: {problem.detail}\n"
    return Answer(problem.status, line.encode(), "text/plain; charset=utf-8", problem.header_lines())


def as_sent(body: bytes) -> list[bytes]:
    """The events of a body that `read` took, each in its sender's bytes."""
    return envelope.events(envelope.members(body), EVENTS, LIMITS.events)


def frame(body: bytes) -> bytes:
    """Nothing beside the events gives them meaning."""
    return b""


def alone(event: bytes, frame: bytes) -> bytes:
    """A body that holds this one event: how a dead letter comes back."""
    return b'{"events":[' + event + b"]}"


def spoken_by(body: bytes, user_id: str | None, anonymous_id: str | None) -> bytes:
    """The same events, all of this person, whoever they claim to be of. Raises Problem 400."""

    def lock(event: Json) -> None:
        event.update({"user.id": user_id, "user.anonymous_id": anonymous_id})

    return envelope.locked_batch(body, EVENTS, lock)


def _event(index: int, raw: bytes) -> Event:
    """Raises Unfit."""
    sent = envelope.whole(raw)
    if sent.get(ALIASED) in (None, "") and ALIAS in sent:
        sent[ALIASED] = sent.pop(ALIAS)
    for field in REQUIRED:
        if sent.get(field) in (None, ""):
            raise Unfit("event.field_missing", field, f"`{field}` is required and must not be empty.")
    properties = {key: value for key, value in sent.items() if key not in APART and value is not None}
    check_object(properties, "")
    return Event(
        index=index,
        kind="track",
        name=known_name(envelope.text(sent["event.type"], "event.type"), "event.type"),
        user_id=_id(sent, "user.id"),
        anonymous_id=_id(sent, "user.anonymous_id"),
        session_id=_id(sent, "session.id"),
        message_id=_id(sent, "event_id"),
        ts=envelope.instant(sent["event.timestamp"], "event.timestamp"),
        properties=properties,
    )


def _id(sent: Json, field: str) -> str | None:
    return known_id(envelope.identifier(sent.get(field), field), field)


def _words(bad: Rejection) -> str:
    return f"{bad.field or 'event'}: {WORDS.get(bad.code, bad.detail)}"
