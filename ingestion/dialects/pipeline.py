"""Our own wire: `POST /api/v2/pipeline/ingest` with `{batch: [...], sentAt?, context?}`."""

from typing import Any

import msgspec
from msgspec import Raw

from ingestion import envelope, plain
from ingestion.events import EVENT_BYTES, Event, Json, Kind, Limits, Outcome, Reading, Rejection
from ingestion.storable import Id, Unfit, check_object, check_size, known_id, known_name
from persona.lib import jsonparts
from persona.lib.problems import Problem
from persona.lib.wire import Answer, problem_answer

NAME = "pipeline"
LIMITS = Limits(body_bytes=1024 * 1024, events=256)

NOT_JSON = ("request.not_json", "The body is not JSON.")
NOT_AN_OBJECT = ("request.not_an_object", 'The body must be a JSON object: {"batch": [...]}.')
MISSING = ("batch.missing", "`batch` is required: an array of 1 to 256 events.")
NOT_AN_ARRAY = ("batch.not_an_array", "`batch` must be an array of events.")
EMPTY = ("batch.empty", "`batch` holds no event.")
TOO_MANY = ("batch.too_many_events", f"At most {LIMITS.events} events a request; send the rest in another.")


class Sent(msgspec.Struct, rename="camel", gc=False):
    """An event as it comes. Keys that are not here are no error: they are kept in its context."""

    type: Kind
    event: str | None = None
    user_id: Id = None
    anonymous_id: Id = None
    previous_id: Id = None
    message_id: Id = None
    timestamp: str | None = None
    properties: Json | None = None
    traits: Json | None = None
    context: Json | None = None
    group_id: Any = None
    name: Any = None


class Familiar(Sent, rename="camel", forbid_unknown_fields=True, gc=False):
    """An event without a key of its own: the common case, which need not be looked at twice."""


class Whole(msgspec.Struct, rename="camel"):
    """A batch in which every event has the right types and keys."""

    batch: list[Familiar]
    sent_at: Raw = Raw()
    context: Raw = Raw()


class Apart(msgspec.Struct, rename="camel"):
    """A batch whose events are looked at one by one."""

    batch: list[Raw]
    sent_at: Raw = Raw()
    context: Raw = Raw()


NO_TYPE = "Expected `str`, got `null` - at `$.type`"  # the decoder's words: no other field is refused for a null
KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(Sent))
_whole = msgspec.json.Decoder(Whole).decode
_apart = msgspec.json.Decoder(Apart).decode
_sent = msgspec.json.Decoder(Sent).decode
_keys = msgspec.json.Decoder(dict[str, Raw]).decode
_text = msgspec.json.Decoder(str | None).decode
_object = msgspec.json.Decoder(Json | None).decode


def read(body: bytes) -> Reading:
    """Raises Problem 400 when `body` is no batch of 1 to 256 events; a bad event is a rejection in the reading."""
    try:
        batch = plain.decoded(body)
        return _read_whole(body) if batch is None else _read_plain(batch)
    except (*envelope.UNREADABLE, Unfit):
        return _read_apart(body)


def judge(body: bytes) -> Outcome:
    """Raises as `read` does."""
    plainly = plain.counted(body)
    return Outcome(plainly) if plainly else read(body).outcome


def accepted(outcome: Outcome, batch_id: str) -> Answer:
    """202: how many events are taken, and why the others are not."""
    document: dict[str, Any] = {"accepted": outcome.taken, "batchId": batch_id}
    if outcome.rejections:
        document["rejected"] = len(outcome.rejections)
        document["errors"] = [
            {"index": bad.index, "code": bad.code, "field": bad.field, "detail": bad.detail}
            for bad in outcome.rejections
        ]
    if outcome.warnings:
        document["warnings"] = [
            {"code": bad.code, "field": bad.field, "detail": bad.detail} for bad in outcome.warnings
        ]
    return Answer(202, msgspec.json.encode(document))


def refused(problem: Problem) -> Answer:
    return problem_answer(problem)


def as_sent(body: bytes) -> list[bytes]:
    """The events of a body that `read` took, each in its sender's bytes."""
    return [bytes(raw) for raw in _parts(body).batch]


def frame(body: bytes) -> bytes:
    """sentAt and context, as members of an object; whatever of them could not be used is left out."""
    batch = _parts(body)
    sent_at, context, _ = _frame(batch)
    found = {"sentAt": batch.sent_at if sent_at is not None else None, "context": batch.context if context else None}
    return b"".join(b',"%s":%s' % (name.encode(), bytes(raw)) for name, raw in found.items() if raw)


def alone(event: bytes, frame: bytes) -> bytes:
    """A body that holds this one event in the frame of its first one: how a dead letter comes back."""
    return b'{"batch":[' + event + b"]" + frame + b"}"


def spoken_by(body: bytes, user_id: str | None, anonymous_id: str | None) -> bytes:
    """The same events, all of this person, whoever they claim to be of. Raises Problem 400."""

    def lock(event: Json) -> None:
        event.update({"userId": user_id, "anonymousId": anonymous_id, "previousId": None})

    return envelope.locked_batch(body, "batch", lock)


def _read_plain(batch: plain.Batch) -> Reading:
    """The common case, in which only an instant can be wrong. Raises Unfit."""
    sent_at = envelope.instant(batch.sent_at, "sentAt")
    return Reading([_event(index, sent, batch.context) for index, sent in enumerate(batch.batch)], [], sent_at)


def _read_whole(body: bytes) -> Reading:
    """Where nothing is wrong with any event; else raises one of the errors of `read`."""
    batch = _whole(body)
    _check_count(len(batch.batch))
    if len(body) > EVENT_BYTES:  # else no event can be larger than that
        for raw in _apart(body).batch:
            check_size(len(raw))
    sent_at, context, warnings = _frame(batch)
    events = [_event(index, sent, context) for index, sent in enumerate(batch.batch)]
    return Reading(events, [], sent_at, warnings)


def _read_apart(body: bytes) -> Reading:
    """Event by event: what is wrong with one costs no other."""
    batch = _parts(body)
    _check_count(len(batch.batch))
    sent_at, context, warnings = _frame(batch)
    reading = Reading([], [], sent_at, warnings)
    for index, raw in enumerate(batch.batch):
        text = bytes(raw)
        try:
            check_size(len(text))
            reading.events.append(_event(index, _sent(text), {**(context or {}), **_unknown(text)} or None))
        except Unfit as unfit:
            reading.rejections.append(unfit.rejection(index, text))
        except envelope.UNREADABLE as error:
            reading.rejections.append(_reason(error).rejection(index, text))
    return reading


def _unknown(event: bytes) -> Json:
    """The keys of an event that the wire does not name. Raises Unfit."""
    found = {key: msgspec.json.decode(raw) for key, raw in _keys(event).items() if key not in KNOWN}
    check_object(found, "")
    return found


def _check_count(n: int) -> None:
    if n == 0:
        raise Problem(400, *EMPTY)
    if n > LIMITS.events:
        raise Problem(400, *TOO_MANY)


def _parts(body: bytes) -> Apart:
    """The raw events of a batch, also where a strict decoder would refuse all for one."""
    try:
        return _apart(body)
    except envelope.UNREADABLE:
        lenient = jsonparts.lenient(body)  # first: it is many times as fast as cutting
    members = jsonparts.members(body) if lenient else None
    if members is None:
        raise Problem(400, *(NOT_AN_OBJECT if lenient else NOT_JSON))
    batch = members.get("batch", b"null")
    if batch == b"null":
        raise Problem(400, *MISSING)
    events = jsonparts.elements(batch)
    if events is None:
        raise Problem(400, *NOT_AN_ARRAY)
    return Apart([Raw(event) for event in events], Raw(members.get("sentAt", b"")), Raw(members.get("context", b"")))


def _frame(batch: Whole | Apart) -> tuple[int | None, Json | None, tuple[Rejection, ...]]:
    """sentAt (ms) and the default context; what cannot be used of them becomes a warning."""
    warnings: list[Rejection] = []
    sent_at, context = None, None
    try:
        sent_at = envelope.instant(_text(batch.sent_at) if batch.sent_at else None, "sentAt", "batch.sent_at_invalid")
    except Unfit as unfit:
        warnings.append(unfit.rejection(-1, b""))
    except envelope.UNREADABLE:
        warnings.append(Rejection(-1, "batch.sent_at_invalid", "sentAt", "Not a text; the clock is not corrected."))
    try:
        context = _context(batch.context)
    except Unfit as unfit:
        warnings.append(unfit.rejection(-1, b""))
    return sent_at, context, tuple(warnings)


def _context(raw: Raw) -> Json | None:
    if len(raw) > plain.CONTEXT_BYTES:
        raise Unfit("batch.context_invalid", "context", f"At most {plain.CONTEXT_BYTES} bytes; it is not used.")
    try:
        context = _object(raw) if raw else None
        check_object(context, "context")
    except (*envelope.UNREADABLE, Unfit):
        raise Unfit("batch.context_invalid", "context", "Not an object that can be stored; it is not used.") from None
    return context


def _event(index: int, sent: Sent | plain.Plain, context: Json | None) -> Event:
    """Raises Unfit."""
    kind = sent.type
    name = known_name(sent.event, "event") if kind == "track" else kind
    if kind == "alias":
        _check_alias(sent)
    properties = _properties(sent)
    if isinstance(sent, Sent):
        check_object(properties, "properties")
        check_object(sent.traits, "traits")
        check_object(sent.context, "context")
    return Event(
        index=index,
        kind=kind,
        name=name,
        user_id=known_id(sent.user_id, "userId"),
        anonymous_id=known_id(sent.anonymous_id, "anonymousId"),
        previous_id=known_id(sent.previous_id, "previousId"),
        message_id=known_id(sent.message_id, "messageId"),
        ts=envelope.instant(sent.timestamp, "timestamp"),
        properties=properties,
        traits=sent.traits if kind == "identify" else None,
        context={**context, **sent.context} if context and sent.context else sent.context or context,
    )


def _check_alias(sent: Sent | plain.Plain) -> None:
    for field, value in (("previousId", sent.previous_id), ("userId", sent.user_id)):
        if value in (None, ""):
            raise Unfit("event.field_missing", field, "An alias needs `previousId` and `userId`.")


def _properties(sent: Sent | plain.Plain) -> Json:
    """What the event says of itself; of a group, its traits and its id too."""
    properties = sent.properties or {}
    if sent.type == "group":
        properties = {**(sent.traits or {}), **properties}
        if sent.group_id is not None:
            properties["groupId"] = sent.group_id
    if sent.name is not None and sent.type in ("page", "screen", "group"):
        properties = {"name": sent.name, **properties}
    return properties


def _reason(error: Exception) -> Unfit:
    """Why the decoder refused an event: this wire has one field that every event needs."""
    if str(error).startswith(("Object missing required field", "Invalid enum value ''", NO_TYPE)):
        return Unfit("event.field_missing", "type", "`type` is required.")
    return envelope.reason(error)
