"""Batches in which nothing can be wrong, as far as the decoder alone can tell: nearly all of them. Pure.

It knows less than `read`: whatever it does not know is read event by event.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ingestion.envelope import UNREADABLE
from ingestion.events import ID_LENGTH, NAME_LENGTH
from persona.lib.clock import parse_instant

NUL = b"\\u0000"  # the only way for JSON to say it
MOST_BYTES = 32 * 1024  # less than an event or a context may have

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


class _Track(_Event, tag="track", rename="camel", forbid_unknown_fields=True, gc=False, kw_only=True):
    event: Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]


class _Other(_Event, rename="camel", forbid_unknown_fields=True, gc=False, kw_only=True):
    event: str | None = None


class _Identify(_Other, tag="identify", gc=False): ...


class _Page(_Other, tag="page", gc=False): ...


class _Screen(_Other, tag="screen", gc=False): ...


class _Group(_Other, tag="group", gc=False): ...


class _Batch(Struct, rename="camel", gc=False):
    batch: Annotated[list[_Track | _Identify | _Page | _Screen | _Group], Meta(min_length=1, max_length=256)]
    sent_at: str | None = None
    context: _Object = None


_decoded = msgspec.json.Decoder(_Batch).decode


def counted(body: bytes) -> int:
    """How many events it holds, each of which is taken; 0 where that cannot be told without looking closer."""
    if len(body) > MOST_BYTES or NUL in body:
        return 0
    try:
        batch = _decoded(body)
    except UNREADABLE:
        return 0
    for one in batch.batch:
        if one.timestamp is not None and parse_instant(one.timestamp) is None:
            return 0
    if batch.sent_at is not None and parse_instant(batch.sent_at) is None:
        return 0
    return len(batch.batch)
