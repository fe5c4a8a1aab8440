"""SegOps' wire: one event at `POST /api/ingestion/track/`, up to 500 in `{"events": [...]}` at `.../track/batch/`."""

import msgspec

from ingestion import envelope
from ingestion.events import Event, Json, Limits, Outcome, Reading
from ingestion.storable import Unfit, check_object, known_id, known_name
from persona.lib.problems import Problem
from persona.lib.wire import Answer

EVENTS = "events"
IDENTIFIED = "context_identified"  # sets traits, as `identify` does elsewhere
KNOWN = frozenset({"user_id", "anonymous_id", "event_type", "occurred_at", "payload", "message_id"})


class SegOps(msgspec.Struct, frozen=True):
    """single: a body is one event; else a batch."""

    single: bool

    @property
    def NAME(self) -> str:  # noqa: N802 - as a module's constant
        return "segops.track" if self.single else "segops"

    @property
    def LIMITS(self) -> Limits:  # noqa: N802 - as a module's constant
        return Limits(body_bytes=5 * 1024 * 1024, events=1 if self.single else 500)

    def read(self, body: bytes) -> Reading:
        """Raises Problem 400 when `body` is no JSON object, or a batch holds no array of at most 500 events."""
        return envelope.read_each(self.as_sent(body), _event)

    def judge(self, body: bytes) -> Outcome:
        """Raises as `read` does."""
        return self.read(body).outcome

    def accepted(self, outcome: Outcome, batch_id: str) -> Answer:
        """202 with what is queued. A single event that cannot be taken is a 400: its sender waits for no other."""
        if not self.single:
            return Answer(202, msgspec.json.encode(_counted(outcome)))
        for bad in outcome.rejections:
            return refused(Problem(400, bad.code, f"{bad.field}: {bad.detail}" if bad.field else bad.detail))
        return Answer(202, b'{"queued":true}')

    def refused(self, problem: Problem) -> Answer:
        return refused(problem)

    def as_sent(self, body: bytes) -> list[bytes]:
        """The events of a body that `read` took, each in its sender's bytes."""
        found = envelope.members(body)
        return [body] if self.single else envelope.events(found, EVENTS, self.LIMITS.events)

    def frame(self, body: bytes) -> bytes:
        """Nothing beside the events gives them meaning."""
        return b""

    def alone(self, event: bytes, frame: bytes) -> bytes:
        """A body that holds this one event: how a dead letter comes back."""
        return event if self.single else b'{"events":[' + event + b"]}"

    def spoken_by(self, body: bytes, user_id: str | None, anonymous_id: str | None) -> bytes:
        """The same events, all of this person, whoever they claim to be of. Raises Problem 400."""

        def lock(event: Json) -> None:
            event.update({"user_id": user_id, "anonymous_id": anonymous_id})

        return envelope.locked_event(body, lock) if self.single else envelope.locked_batch(body, EVENTS, lock)


SINGLE, BATCH = SegOps(True), SegOps(False)
WIRES = (SINGLE, BATCH)


def refused(problem: Problem) -> Answer:
    """`{"detail": ...}`, as Django REST framework says it."""
    document = {"detail": problem.detail, "code": problem.code, **problem.extra}
    return Answer(problem.status, msgspec.json.encode(document), headers=problem.header_lines())


def _counted(outcome: Outcome) -> dict[str, object]:
    """The two figures of the original, and what is wrong with the skipped."""
    counted: dict[str, object] = {"queued": outcome.taken, "skipped": len(outcome.rejections)}
    return counted | ({"errors": envelope.rejections_of(outcome)} if outcome.rejections else {})


def _event(index: int, raw: bytes) -> Event:
    """Raises Unfit."""
    sent = envelope.whole(raw)
    user_id, anonymous_id = _id(sent, "user_id"), _id(sent, "anonymous_id")
    if user_id is None and anonymous_id is None:
        raise Unfit("event.field_missing", "user_id", "`user_id` is required and must not be empty.")
    name = known_name(envelope.text(sent.get("event_type"), "event_type"), "event_type")
    payload = envelope.mapping(sent.get("payload"), "payload") or {}
    unknown = {key: value for key, value in sent.items() if key not in KNOWN}
    check_object(unknown, "")
    identified = name == IDENTIFIED
    return Event(
        index=index,
        kind="identify" if identified else "track",
        name="identify" if identified else name,
        user_id=user_id,
        anonymous_id=anonymous_id,
        message_id=_id(sent, "message_id"),
        ts=envelope.instant(sent.get("occurred_at") or None, "occurred_at"),
        properties={} if identified else payload,
        traits=payload if identified else None,
        context=unknown or None,
    )


def _id(sent: Json, field: str) -> str | None:
    return known_id(envelope.identifier(sent.get(field), field), field)
