"""Batches become arrivals: each event with its uid and its instant on the database's clock. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ingestion.applying.identity import Key, keys_of
from ingestion.applying.waiting import Waiting
from ingestion.dialects import DIALECTS
from ingestion.events import EVENT_BYTES, Event, Rejection
from persona.lib import ids

TRAITS_KIND = "identify"


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One event of a turn.

    uid: 16 bytes; received_at, ts: milliseconds on the database's clock, 0 <= ts <= received_at;
    keys: its external ids; props, context: JSON, as they are stored;
    clamped: the sender's clock claimed a later instant.
    """

    batch: Waiting
    event: Event
    uid: bytes
    keys: Sequence[Key]
    received_at: int
    ts: int
    clamped: bool
    props: bytes
    context: bytes | None

    @property
    def order(self) -> tuple[int, str]:
        """The order key of events and of trait writes."""
        return self.ts, self.uid.hex()


class Refused(msgspec.Struct, frozen=True, gc=False):
    """One event of a turn that becomes a dead letter."""

    batch: Waiting
    rejection: Rejection


class Read(msgspec.Struct, frozen=True):
    """What the batches of a turn hold, in inbox order."""

    arrivals: list[Arrival]
    refused: list[Refused]


# What was read before, by row id and batch id: after a failover either may come again for another batch.
Ready = Mapping[tuple[int, str], Read]


def read(batches: Iterable[Waiting], now: int, ready: Ready) -> Read:
    """Decode `batches`, as far as they are not `ready`; `now` is the database's clock in ms.

    Raises Problem or KeyError for one nobody can read.
    """
    result = Read([], [])
    for batch in batches:
        one = ready.get((batch.id, batch.batch_id)) or read_one(batch, now)
        result.refused.extend(one.refused)
        result.arrivals.extend(one.arrivals)
    return result


def read_one(batch: Waiting, now: int) -> Read:
    """The same of one batch. What was received before `now` is read the same at any later time."""
    reading = DIALECTS[batch.dialect].read(batch.body)
    return Read(
        [_arrival(batch, event, reading.sent_at, now) for event in reading.events],
        [Refused(batch, rejection) for rejection in reading.rejections],
    )


def refuse(arrival: Arrival, code: str, field: str, detail: str) -> Refused:
    """An event that was read well and cannot be stored; `with_bodies` adds what was sent."""
    return Refused(arrival.batch, Rejection(arrival.event.index, code, field, detail))


def with_bodies(refused: Iterable[Refused]) -> list[Refused]:
    """Each with its event as it was sent. A batch is taken apart once, however many of its events are refused."""
    apart: dict[int, list[bytes]] = {}
    return [one if one.rejection.body else _with_body(one, apart) for one in refused]


def frames(refused: Iterable[Refused]) -> dict[int, bytes]:
    """By the row id of a batch: what it said beside its events."""
    batches = {one.batch.id: one.batch for one in refused}
    return {number: DIALECTS[batch.dialect].frame(batch.body) for number, batch in batches.items()}


def _with_body(refused: Refused, apart: dict[int, list[bytes]]) -> Refused:
    batch, rejection = refused.batch, refused.rejection
    if batch.id not in apart:
        apart[batch.id] = DIALECTS[batch.dialect].as_sent(batch.body)
    body = apart[batch.id][rejection.index][:EVENT_BYTES]
    return Refused(batch, msgspec.structs.replace(rejection, body=body))


def _arrival(batch: Waiting, event: Event, sent_at: int | None, now: int) -> Arrival:
    received_at = min(batch.received_at, now)
    claimed = instant(event.ts, sent_at, received_at)
    return Arrival(
        batch=batch,
        event=event,
        uid=uid_of(event, batch.batch_id),
        keys=keys_of(event),
        received_at=received_at,
        ts=max(0, min(claimed, received_at)),
        clamped=not 0 <= claimed <= received_at,
        props=msgspec.json.encode(props_of(event)),
        context=None if event.context is None else msgspec.json.encode(event.context),
    )


def instant(ts: int | None, sent_at: int | None, received_at: int) -> int:
    """When it happened, ms: the sender's clock is corrected by what it said when it sent."""
    if ts is None:
        return received_at
    return ts if sent_at is None else received_at - (sent_at - ts)


def props_of(event: Event) -> dict[str, Any]:
    """What is stored as the event's properties: of an identify, the traits it sets."""
    return event.traits if event.kind == TRAITS_KIND and event.traits is not None else event.properties


def uid_of(event: Event, batch_id: str) -> bytes:
    """By which it is known inside its project."""
    return ids.event_uid(event.message_id) if event.message_id else ids.nameless_uid(batch_id, event.index)
