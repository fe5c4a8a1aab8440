"""What wires of JSON have in common: the events of a body one by one, whatever one of them holds. Pure."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw

from ingestion.events import Event, Json, Outcome, Reading, Rejection
from ingestion.storable import NUMBER, TOO_DEEP, Id, Unfit, check_object, check_size
from persona.lib import jsonparts
from persona.lib.clock import parse_instant
from persona.lib.problems import Problem

NOT_JSON = ("request.not_json", "The body is not JSON.")
NOT_AN_OBJECT = ("request.not_an_object", "The body must be a JSON object.")
MISSING = ("batch.missing", "`{}` is required: an array of events.")
NOT_AN_ARRAY = ("batch.not_an_array", "`{}` must be an array of events.")
TOO_MANY = ("batch.too_many_events", "At most {} events a request; send the rest in another.")

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
NO_EVENT = b"null"
_FIELD = re.compile(r" - at `\$\.?(\w*)")

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_array = msgspec.json.Decoder(list[Raw]).decode
_anything = msgspec.json.Decoder().decode
_text = msgspec.json.Decoder(str | None).decode

Locked = Callable[[Json], None]


def members(body: bytes) -> dict[str, bytes]:
    """The raw members of a body. Raises Problem 400 when it is no JSON object."""
    try:
        return {name: bytes(raw) for name, raw in _members(body).items()}
    except UNREADABLE:
        lenient = jsonparts.lenient(body)
    found = jsonparts.members(body) if lenient else None
    if found is None:
        raise Problem(400, *(NOT_AN_OBJECT if lenient else NOT_JSON))
    return found


def events(found: dict[str, bytes], name: str, most: int) -> list[bytes]:
    """The raw events of the member `name`. Raises Problem 400 when there is none, or there are more than `most`."""
    raw = found.get(name, NO_EVENT)
    if raw == NO_EVENT:
        raise Problem(400, MISSING[0], MISSING[1].format(name))
    parts = _elements(raw)
    if parts is None:
        raise Problem(400, NOT_AN_ARRAY[0], NOT_AN_ARRAY[1].format(name))
    if len(parts) > most:
        raise Problem(400, TOO_MANY[0], TOO_MANY[1].format(most))
    return parts


def _elements(raw: bytes) -> list[bytes] | None:
    try:
        return [bytes(part) for part in _array(raw)]
    except UNREADABLE:
        return jsonparts.elements(raw)


def read_each(
    raws: Iterable[bytes], one: Callable[[int, bytes], Event], sent_at: int | None = None, *, sized: bool = True
) -> Reading:
    """`one` of each event; what is wrong with one costs no other. sized: each is held to the usual size."""
    reading = Reading([], [], sent_at)
    for index, raw in enumerate(raws):
        try:
            if sized:
                check_size(len(raw))
            reading.events.append(one(index, raw))
        except Unfit as unfit:
            reading.rejections.append(unfit.rejection(index, raw))
        except UNREADABLE as error:
            reading.rejections.append(reason(error).rejection(index, raw))
    return reading


def reason(error: Exception) -> Unfit:
    """Why the decoder refused an event, in our words."""
    if isinstance(error, RecursionError):
        return Unfit(TOO_DEEP[0], "", TOO_DEEP[1])
    if not isinstance(error, msgspec.ValidationError):
        return Unfit("event.text_invalid", "", "Half a surrogate pair, NaN, Infinity, or bytes that are no UTF-8.")
    said = str(error)
    match = _FIELD.search(said)
    field = match[1] if match else ""
    if "out of range" in said:
        return Unfit(NUMBER[0], field, "A number is too large to be stored.")
    if not field:
        return Unfit("event.not_an_object", "", "An event must be a JSON object.")
    if said.startswith("Invalid enum value"):
        return Unfit("event.type_unknown", field, "One of track, identify, page, screen, group, alias.")
    return Unfit("event.field_type", field, said.partition(" - at ")[0] + ".")


def instant(value: Any, field: str, code: str = "event.timestamp_invalid") -> int | None:
    """Milliseconds of an ISO 8601 text, or None without one. Raises Unfit with `code`."""
    if value is None:
        return None
    found = parse_instant(value) if isinstance(value, str) else None
    if found is None:
        raise Unfit(code, field, "Not an ISO 8601 instant such as 2026-06-09T10:14:05.123Z.")
    return found


def batch_instant(raw: bytes) -> int | None:
    """The clock of whoever sent a batch; None when it says nothing of use, which costs no event."""
    try:
        text = _text(raw) if raw else None
    except UNREADABLE:
        return None
    return None if text is None else parse_instant(text)


def text(value: Any, field: str) -> str | None:
    """A text or nothing. Raises Unfit."""
    if value is not None and not isinstance(value, str):
        raise Unfit("event.field_type", field, "Expected a text.")
    return value or None


def identifier(value: Any, field: str) -> Id:
    """An id: a text or a whole number. Raises Unfit."""
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise Unfit("event.field_type", field, "Expected a text.")


def mapping(value: Any, field: str) -> Json | None:
    """An object that can be stored, or None. Raises Unfit."""
    if value is not None and not isinstance(value, dict):
        raise Unfit("event.field_type", field, "Expected an object.")
    check_object(value, field)
    return value


def whole(raw: bytes) -> Json:
    """An event as a mapping. Raises Unfit."""
    found = _anything(raw)
    if not isinstance(found, dict):
        raise Unfit("event.not_an_object", "", "An event must be a JSON object.")
    return found


def locked_batch(body: bytes, name: str, lock: Locked) -> bytes:
    """The body with `lock` done to each event of its member `name`. Raises Problem 400."""
    found = members(body)
    parts = _elements(found.get(name, NO_EVENT))
    if parts is not None:
        found[name] = b"[" + b",".join(locked_event(part, lock) for part in parts) + b"]"
    return msgspec.json.encode({key: Raw(value) for key, value in found.items()})


def locked_event(raw: bytes, lock: Locked) -> bytes:
    """The event with `lock` done to it. What cannot be read whole is no event any more: it might hide another name."""
    try:
        event = whole(raw)
    except (*UNREADABLE, Unfit):
        return NO_EVENT
    lock(event)
    return msgspec.json.encode(event)


def rejections_of(outcome: Outcome) -> list[dict[str, object]]:
    """What is wrong with the events that are not taken, for the answer."""
    return [_shown(bad) for bad in outcome.rejections]


def _shown(bad: Rejection) -> dict[str, object]:
    return {"index": bad.index, "code": bad.code, "field": bad.field, "detail": bad.detail}
