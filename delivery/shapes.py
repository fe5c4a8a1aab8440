"""Destinations and deliveries as the API takes and shows them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from delivery.models import Attempt, Cursor, Destination
from persona.lib.clock import milliseconds, rfc3339
from persona.lib.outbound import Answer

Op = Literal["enter", "leave"]
Kind = Literal["webhook", "amplitude", "mixpanel"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class NewDestination(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a create. secret: only for an analytics product, its API key or project token."""

    kind: Kind
    name: Name
    url: str = ""
    personas: list[str] = []
    ops: list[Op] = []
    settings: dict[str, Any] = {}
    secret: str = ""


class ChangedDestination(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a change: what is left out stays."""

    name: Name | UnsetType = UNSET
    url: str | UnsetType = UNSET
    personas: list[str] | UnsetType = UNSET
    ops: list[Op] | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET
    secret: str | UnsetType = UNSET


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """grace_seconds: for how long the former secret signs too."""

    grace_seconds: Annotated[int, msgspec.Meta(ge=0, le=604_800)] = 86_400


class Range(msgspec.Struct, forbid_unknown_fields=True):
    """Numbers of the change log, both included."""

    first: Annotated[int, msgspec.Meta(ge=1, le=2**62)]
    last: Annotated[int, msgspec.Meta(ge=1, le=2**62)]


class LostRange(msgspec.Struct):
    """Numbers of the change log that were pruned before this destination got them."""

    first: int
    last: int


class DestinationShown(msgspec.Struct):
    """A destination. seq: how far it has got in its log; lag: rows that are left; waiting: deliveries to be tried."""

    id: str
    kind: Kind
    name: str
    url: str
    personas: list[str]
    ops: list[Op]
    settings: dict[str, Any]
    status: Literal["active", "paused"]
    paused_because: str
    seq: Count
    lag: Count
    waiting: Count
    dead: Count
    last_error: str
    failing_since: str | None
    lost: LostRange | None
    created_at: str
    updated_at: str


class MadeDestination(DestinationShown):
    """A destination and, this once, the secret of a webhook (of an analytics product: null)."""

    secret: str | None


class Secret(msgspec.Struct):
    """Shown this once."""

    secret: str


class DestinationPage(msgspec.Struct):
    """A page; `next` is the cursor of the one after it."""

    results: list[DestinationShown]
    next: str | None


class Tried(msgspec.Struct):
    """One try. status: of the answer, null without one; ms: how long it took; answer: its first 1,000 characters."""

    at: str
    status: int | None
    ms: int
    error: str | None
    answer: str


class DeliveryShown(msgspec.Struct):
    """A delivery. n: changes or events in it; tried: how often; next_at: of the next try, while it waits."""

    id: str
    destination: str
    kind: Literal["change", "events", "gap"]
    status: Literal["waiting", "delivered", "dead"]
    first_seq: int
    seq: int
    n: int
    op: Op | None
    tried: int
    next_at: str | None
    created_at: str
    settled_at: str | None
    last: Tried | None


class DeliveryWhole(DeliveryShown):
    """A delivery with what was sent and every try that is kept. body: the message; of events, references to them."""

    body: Any
    tries: list[Tried]


class DeliveryPage(msgspec.Struct):
    """A page, newest first."""

    results: list[DeliveryShown]
    next: str | None


class PingResult(msgspec.Struct):
    """What came of a test message."""

    status: int | None
    ms: int
    error: str | None
    answer: str


class Redelivering(msgspec.Struct):
    """How many deliveries are going to be sent again."""

    deliveries: Count


class State(msgspec.Struct, frozen=True):
    """What is counted of a destination."""

    cursor: Cursor
    lag: int
    waiting: int
    dead: int


def destination_shown(destination: Destination, state: State) -> DestinationShown:
    return DestinationShown(**_fields(destination, state))


def destination_made(destination: Destination, state: State, secret: str | None) -> MadeDestination:
    return MadeDestination(**_fields(destination, state), secret=secret)


def delivery_shown(attempt: Attempt, destination: str) -> DeliveryShown:
    return DeliveryShown(**_delivery(attempt, destination))


def delivery_whole(attempt: Attempt, destination: str) -> DeliveryWhole:
    body = msgspec.json.decode(attempt.body) if attempt.body else None
    return DeliveryWhole(**_delivery(attempt, destination), body=body, tries=[_tried(one) for one in attempt.tries])


def ping_result(answer: Answer) -> PingResult:
    text = answer.body[:1_000].decode("utf-8", "replace")
    return PingResult(answer.status or None, answer.ms, answer.error or None, text)


def _fields(destination: Destination, state: State) -> dict[str, Any]:
    cursor = state.cursor
    lost = LostRange(cursor.lost_from, cursor.lost_to) if cursor.lost_from and cursor.lost_to else None
    return {
        "id": destination.public_id,
        "kind": destination.kind,
        "name": destination.name,
        "url": destination.url,
        "personas": destination.personas,
        "ops": destination.ops,
        "settings": destination.settings,
        "status": destination.status,
        "paused_because": destination.paused_because,
        "seq": cursor.seq,
        "lag": state.lag,
        "waiting": state.waiting,
        "dead": state.dead,
        "last_error": cursor.last_error,
        "failing_since": _instant(cursor.failing_since),
        "lost": lost,
        "created_at": rfc3339(milliseconds(destination.created_at)),
        "updated_at": rfc3339(milliseconds(destination.updated_at)),
    }


def _delivery(attempt: Attempt, destination: str) -> dict[str, Any]:
    waits = attempt.status == Attempt.Status.WAITING
    return {
        "id": str(attempt.pk),
        "destination": destination,
        "kind": attempt.kind,
        "status": attempt.status,
        "first_seq": attempt.first_seq,
        "seq": attempt.seq,
        "n": attempt.n,
        "op": attempt.op,
        "tried": attempt.tried,
        "next_at": _instant(attempt.next_at) if waits else None,
        "created_at": rfc3339(attempt.created_at),
        "settled_at": _instant(attempt.settled_at),
        "last": _tried(attempt.tries[-1]) if attempt.tries else None,
    }


def _tried(entry: dict[str, Any]) -> Tried:
    return Tried(rfc3339(entry["at"]), entry["status"], entry["ms"], entry["error"], entry["answer"])


def _instant(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
