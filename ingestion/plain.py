"""Batches in which nothing but an instant can be wrong, as far as the decoder alone can tell: nearly all of them. Pure.

It knows less than the wire does: whatever it does not know is looked at closer.
"""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, Struct

from ingestion.envelope import UNREADABLE
from ingestion.events import EVENT_BYTES, ID_LENGTH, NAME_LENGTH, Kind
from persona.lib.clock import parse_instant

NUL = b"\\u0000"  # the only way for JSON to say it
CONTEXT_BYTES = 32 * 1024  # of the batch's context: it is stored with every event that has none of its own

_Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Leaf = str | _Whole | float | bool | None
# As deep as libraries nest, which is not nearly as deep as they may.
_One = _Leaf | list[_Leaf] | dict[str, _Leaf]
_Two = _Leaf | list[_One] | dict[str, _One]
_Value = _Leaf | list[_Two] | dict[str, _Two]
_Object = dict[str, _Value] | None
_Id = Annotated[str, Meta(max_length=ID_LENGTH)] | _Whole | None


class _Event(Struct, rename="camel", forbid_unknown_fields=True, tag_field="type", gc=False, kw_only=True):
    user_id: _Id = None
    anonymous_id: _Id = None
    previous_id: _Id = None
    message_id: _Id = None
    timestamp: str | None = None
    properties: _Object = None
    traits: _Object = None
    context: _Object = None
    group_id: _Value = None
    name: _Value = None


class Track(_Event, tag="track", rename="camel", forbid_unknown_fields=True, gc=False, kw_only=True):
    type: ClassVar[Kind] = "track"
    event: Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]


class _Other(_Event, rename="camel", forbid_unknown_fields=True, gc=False, kw_only=True):
    event: str | None = None


class Identify(_Other, tag="identify", gc=False):
    type: ClassVar[Kind] = "identify"


class Page(_Other, tag="page", gc=False):
    type: ClassVar[Kind] = "page"


class Screen(_Other, tag="screen", gc=False):
    type: ClassVar[Kind] = "screen"


class Group(_Other, tag="group", gc=False):
    type: ClassVar[Kind] = "group"


Plain = Track | Identify | Page | Screen | Group


class Batch(Struct, rename="camel", gc=False):
    """A batch of 1 to 256 events, each of the right types, nowhere too deep, too long or too large."""

    batch: Annotated[list[Plain], Meta(min_length=1, max_length=256)]
    sent_at: str | None = None
    context: _Object = None


_decoded = msgspec.json.Decoder(Batch).decode


def decoded(body: bytes) -> Batch | None:
    """The batch; its instants are still text, and not looked at. None where something might be wrong with it."""
    if len(body) > EVENT_BYTES or NUL in body:
        return None
    try:
        batch = _decoded(body)
    except UNREADABLE:
        return None
    return None if batch.context is not None and len(body) > CONTEXT_BYTES else batch


def counted(body: bytes) -> int:
    """How many events it holds, each of which is taken; 0 where that cannot be told without looking closer."""
    batch = decoded(body)
    if batch is None:
        return 0
    instants = [one.timestamp for one in batch.batch if one.timestamp is not None]
    if batch.sent_at is not None:
        instants.append(batch.sent_at)
    return 0 if None in map(parse_instant, instants) else len(batch.batch)
