"""The one canonical event that every wire turns into, and what reading a request gives. Pure: no Django here.

Limits are those of DECISIONS: each is a per-event rejection beyond, never a refusal of the batch.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

Kind = Literal["track", "identify", "page", "screen", "group", "alias"]
Json = dict[str, Any]

EVENT_BYTES = 100 * 1024
NAME_LENGTH = 200
ID_LENGTH = 512
NESTING = 32
TRAITS_BYTES = 64 * 1024  # of a whole profile


class Limits(msgspec.Struct, frozen=True):
    """Of one request of a wire: bytes of its inflated body, and events in it."""

    body_bytes: int
    events: int


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that happened, as the sender said it; nothing here is trusted or corrected yet.

    index: position in the request; name: as rules see it (track: the given name; else the kind);
    ts: the sender's instant in ms or None; sent_at: the sender's clock when it sent, ms or None.
    """

    index: int
    kind: Kind
    name: str
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    previous_id: str | None = None  # alias: the id that becomes user_id
    message_id: str | None = None
    ts: int | None = None
    properties: Json = {}
    traits: Json | None = None  # identify (and wires that set traits): merged into the profile
    context: Json | None = None


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Why one event of a request is not taken. `field` is a path in the event as sent, or ''."""

    index: int
    code: str  # event.field_missing, event.too_large, ...
    field: str
    detail: str
    body: bytes = b""  # the event as it was sent, for the dead letter; at most EVENT_BYTES of it


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What one request body says. warnings: parts of the batch itself that are not taken; they cost no event."""

    events: list[Event]
    rejections: list[Rejection]
    sent_at: int | None = None
    warnings: tuple[Rejection, ...] = ()

    @property
    def n(self) -> int:
        return len(self.events) + len(self.rejections)

    @property
    def outcome(self) -> "Outcome":
        return Outcome(len(self.events), self.rejections, self.warnings)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What the sender of a body is told: how many of its events are taken, and why the others are not."""

    taken: int
    rejections: Sequence[Rejection] = ()
    warnings: Sequence[Rejection] = ()

    @property
    def n(self) -> int:
        return self.taken + len(self.rejections)
