"""The wire of Segment and RudderStack: `POST /v1/batch`, and a path for each kind of event.

The same reader under several names: in the inbox a single event does not say which path it came by.
"""

import re
from typing import Any

import msgspec

from ingestion import envelope
from ingestion.events import Event, Json, Kind, Limits, Outcome, Reading
from ingestion.storable import Id, Unfit, check_object, known_id, known_name
from persona.lib.problems import Problem
from persona.lib.wire import Answer

BATCH = "batch"
WRITE_KEY = re.compile(rb'("writeKey"\s*:\s*)"[^"\\]*"')  # browsers put it into every event
KEYLESS = rb'\1""'
KINDS: tuple[Kind, ...] = ("track", "identify", "page", "screen", "group", "alias")


class Sent(msgspec.Struct, rename="camel", gc=False):
    """An event as it comes. Keys that are not here are no error: they are kept in its context."""

    type: Kind | None = None
    event: str | None = None
    user_id: Id = None
    anonymous_id: Id = None
    previous_id: Id = None
    message_id: Id = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    properties: Json | None = None
    traits: Json | None = None
    context: Json | None = None
    group_id: Any = None
    name: Any = None
    category: Any = None
    write_key: Any = None


KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(Sent)) - {"originalTimestamp"}
_sent = msgspec.json.Decoder(Sent).decode


class Keyed(msgspec.Struct, rename="camel", gc=False):
    """The part of a body that says whose it is."""

    write_key: str | None = None


_keyed = msgspec.json.Decoder(Keyed).decode


class Segment(msgspec.Struct, frozen=True):
    """kind: of the only event in a body; None: a body is a batch."""

    kind: Kind | None = None

    @property
    def NAME(self) -> str:  # noqa: N802 - as a module's constant
        return "segment" if self.kind is None else f"segment.{self.kind}"

    @property
    def LIMITS(self) -> Limits:  # noqa: N802 - as a module's constant
        return Limits(body_bytes=4 * 1024 * 1024, events=2_500)

    def read(self, body: bytes) -> Reading:
        """Raises Problem 400 when `body` is no JSON object, or its batch no array of at most 2,500 events."""
        found = envelope.members(body)
        raws = [body] if self.kind else envelope.events(found, BATCH, self.LIMITS.events)
        reading = envelope.read_each(raws, self._event, envelope.batch_instant(found.get("sentAt", b"")))
        for place, bad in enumerate(reading.rejections):
            reading.rejections[place] = msgspec.structs.replace(bad, body=WRITE_KEY.sub(KEYLESS, bad.body))
        return reading

    def judge(self, body: bytes) -> Outcome:
        """Raises as `read` does."""
        return self.read(body).outcome

    def accepted(self, outcome: Outcome, batch_id: str) -> Answer:
        """200, as these clients want it; what is wrong with single events stands beside `success`."""
        document: dict[str, Any] = {"success": True}
        if outcome.rejections:
            document |= {"rejected": len(outcome.rejections), "errors": envelope.rejections_of(outcome)}
        return Answer(200, msgspec.json.encode(document))

    def refused(self, problem: Problem) -> Answer:
        return refused(problem)

    def as_sent(self, body: bytes) -> list[bytes]:
        """The events of a body that `read` took, each in its sender's bytes but without the key."""
        raws = [body] if self.kind else envelope.events(envelope.members(body), BATCH, self.LIMITS.events)
        return [WRITE_KEY.sub(KEYLESS, raw) for raw in raws]

    def frame(self, body: bytes) -> bytes:
        """The sender's clock; a single event has it in itself."""
        sent_at = b"" if self.kind else envelope.members(body).get("sentAt", b"")
        return b',"sentAt":' + sent_at if envelope.batch_instant(sent_at) is not None else b""

    def alone(self, event: bytes, frame: bytes) -> bytes:
        """A body that holds this one event in the frame of its first one: how a dead letter comes back."""
        return event if self.kind else b'{"batch":[' + event + b"]" + frame + b"}"

    def spoken_by(self, body: bytes, user_id: str | None, anonymous_id: str | None) -> bytes:
        """The same events, all of this person, whoever they claim to be of. Raises Problem 400."""

        def lock(event: Json) -> None:
            event.update({"userId": user_id, "anonymousId": anonymous_id, "previousId": None})

        return envelope.locked_event(body, lock) if self.kind else envelope.locked_batch(body, BATCH, lock)

    def _event(self, index: int, raw: bytes) -> Event:
        """Raises Unfit."""
        sent = _sent(raw)
        kind = self.kind or sent.type
        if kind is None:
            raise Unfit("event.field_missing", "type", "`type` is required.")
        for name, value in (("properties", sent.properties), ("traits", sent.traits), ("context", sent.context)):
            check_object(value, name)
        return Event(
            index=index,
            kind=kind,
            name=known_name(sent.event, "event") if kind == "track" else kind,
            user_id=known_id(sent.user_id, "userId"),
            anonymous_id=known_id(sent.anonymous_id, "anonymousId"),
            previous_id=_previous(kind, sent),
            message_id=known_id(sent.message_id, "messageId"),
            ts=_instant(sent),
            properties=_properties(kind, sent),
            traits=_traits(sent) if kind == "identify" else None,
            context={**_unknown(raw), **(sent.context or {})} or None,
        )


WIRES = (Segment(), *(Segment(kind) for kind in KINDS))


def refused(problem: Problem) -> Answer:
    """The clients read `code` and `message`."""
    document = {"success": False, "code": problem.code, "message": problem.detail}
    return Answer(problem.status, msgspec.json.encode(document), headers=problem.header_lines())


def write_key(body: bytes) -> str | None:
    """The key in a body, for clients that send it nowhere else. Never fails."""
    try:
        return _keyed(body).write_key
    except envelope.UNREADABLE:
        return None


def _instant(sent: Sent) -> int | None:
    if sent.timestamp is not None:
        return envelope.instant(sent.timestamp, "timestamp")
    return envelope.instant(sent.original_timestamp, "originalTimestamp")


def _previous(kind: Kind, sent: Sent) -> str | None:
    if kind == "alias":
        for field, value in (("previousId", sent.previous_id), ("userId", sent.user_id)):
            if value in (None, ""):
                raise Unfit("event.field_missing", field, "An alias needs `previousId` and `userId`.")
    return known_id(sent.previous_id, "previousId")


def _traits(sent: Sent) -> Json:
    """RudderStack's clients put them into the context."""
    if sent.traits is None and sent.context and isinstance(sent.context.get("traits"), dict):
        return dict(sent.context["traits"])
    return sent.traits or {}


def _properties(kind: Kind, sent: Sent) -> Json:
    """What the event says of itself; of a group, its traits and its id too."""
    properties = sent.properties or {}
    if kind == "group":
        properties = {**(_traits(sent)), **properties}
        if sent.group_id is not None:
            properties["groupId"] = sent.group_id
    if kind in ("page", "screen"):
        given = {"name": sent.name, "category": sent.category}
        properties = {**{key: value for key, value in given.items() if value is not None}, **properties}
    check_object(properties, "properties")
    return properties


def _unknown(raw: bytes) -> Json:
    """The keys that the wire does not name, and `originalTimestamp`. Raises Unfit."""
    found = {key: value for key, value in envelope.whole(raw).items() if key not in KNOWN}
    check_object(found, "")
    return found
