"""What can be stored of one event, whatever wire it came through: the limits, and what PostgreSQL cannot hold. Pure."""

from typing import Any

from ingestion.events import EVENT_BYTES, ID_LENGTH, NAME_LENGTH, NESTING, Json, Rejection

Id = str | int | None

INSIDE_AN_EVENT = 2  # depth of what stands in `properties`, `traits` and `context`: the event itself is 1
_LEAST, _MOST = -(2**63), 2**64 - 1  # whole numbers that every part of the product can carry

TOO_DEEP = ("event.too_deep", f"Nested more than {NESTING} levels deep.")
NUL = ("event.null_character", "The character U+0000 cannot be stored. Leave it out.")
NUMBER = ("event.number_range", "A whole number of more than 64 bits cannot be stored. Send it as a string.")


class Unfit(Exception):
    """Why one event cannot be taken. field: a path in the event as it was sent, or ''."""

    def __init__(self, code: str, field: str, detail: str) -> None:
        super().__init__(code, field, detail)
        self.code = code
        self.field = field
        self.detail = detail

    def rejection(self, index: int, body: bytes) -> Rejection:
        return Rejection(index, self.code, self.field, self.detail, body[:EVENT_BYTES])


def known_id(value: Id, field: str) -> str | None:
    """An id as text; a whole number is taken as its digits, and an empty text as none. Raises Unfit."""
    if value is None or value == "":
        return None
    text = str(value)
    if len(text) > ID_LENGTH:
        raise Unfit("event.id_too_long", field, f"At most {ID_LENGTH} characters.")
    if "\x00" in text:
        raise Unfit(NUL[0], field, NUL[1])
    return text


def known_name(value: str | None, field: str) -> str:
    """The name of an event. Raises Unfit."""
    if not value:
        raise Unfit("event.field_missing", field, f"`{field}` is required and must not be empty.")
    if len(value) > NAME_LENGTH:
        raise Unfit("event.name_too_long", field, f"At most {NAME_LENGTH} characters.")
    if "\x00" in value:
        raise Unfit(NUL[0], field, NUL[1])
    return value


def check_size(size: int) -> None:
    """`size`: bytes of the event as it was sent. Raises Unfit."""
    if size > EVENT_BYTES:
        raise Unfit("event.too_large", "", f"An event may have {EVENT_BYTES} bytes; this one has {size}.")


def check_object(value: Json | None, field: str) -> None:
    """A decoded JSON object of an event, all the way down. Raises Unfit."""
    if value and (found := _fault(value, INSIDE_AN_EVENT)):
        raise Unfit(found[0], field, found[1])


def _fault(value: dict[str, Any] | list[Any], depth: int) -> tuple[str, str] | None:
    if depth > NESTING:
        return TOO_DEEP
    if isinstance(value, dict) and "\x00" in "".join(value):
        return NUL
    for inner in value.values() if isinstance(value, dict) else value:
        kind = inner.__class__
        if kind is str:
            if "\x00" in inner:
                return NUL
        elif kind is int:
            if not _LEAST <= inner <= _MOST:
                return NUMBER
        elif (kind is dict or kind is list) and (found := _fault(inner, depth + 1)):
            return found
    return None
