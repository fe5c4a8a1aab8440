"""What a transport is: from items to one request, and from the answer to what became of each item. Pure."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from persona.lib.outbound import Answer, Request


class Target(msgspec.Struct, frozen=True):
    """Where to, and with which secrets: the current one first, a former one beside it while it still counts."""

    url: str
    secrets: tuple[str, ...]


class Happened(msgspec.Struct, frozen=True):
    """One event for an analytics product. at: ms; user, device: its owner's ids, as the project's senders gave them."""

    id: str
    name: str
    at: int
    user: str | None
    device: str | None
    properties: dict[str, Any]


class Item(msgspec.Struct, frozen=True):
    """What can fail by itself: a message of a webhook (encoded), or an event."""

    key: str
    message: bytes = b""
    event: Happened | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer means.

    refused: items that will never be taken, with the reason; again: those to send at once without the others, because
    the request was refused as a whole; later: those to send after the usual wait, or after `wait` seconds.
    What is in none of these was taken. error: why not all was, for a person.
    blame: it is the receiver as a whole that does not work; pause: why no further try makes sense.
    """

    refused: dict[str, str] = {}
    again: Collection[str] = ()
    later: Collection[str] = ()
    wait: int | None = None
    error: str = ""
    blame: bool = False
    pause: str = ""
    too_large: bool = False  # send it in two halves


TAKEN = Verdict()

Form = TypeVar("Form")


class Transport(Protocol):
    """A module of delivery.transports."""

    BATCH: int  # items of a request, unless the destination says otherwise
    MOST: int

    def request(self, target: Target, items: Sequence[Item], *, now: int) -> Request: ...

    def verdict(self, items: Sequence[Item], answer: Answer) -> Verdict: ...


def said(answer: Answer, form: type[Form]) -> Form | None:
    """The document that was answered; None for anything else. Whoever answers is a stranger, and may mean harm."""
    try:
        return msgspec.json.decode(answer.body, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def usual(items: Sequence[Item], answer: Answer) -> Verdict:
    """What a status means when nothing more particular is known."""
    keys = [item.key for item in items]
    if 200 <= answer.status < 300:
        return TAKEN
    if answer.status == 0:
        return Verdict(later=keys, error=answer.error, blame=True)
    if answer.status == 410:
        return Verdict(later=keys, error="It answered 410.", pause="The receiver answered 410 Gone: it wants no more.")
    if 300 <= answer.status < 400:
        return Verdict(later=keys, error=f"It answered {answer.status}: redirects are not followed.", blame=True)
    blame = answer.status >= 500 or answer.status in (408, 425, 429)
    return Verdict(later=keys, wait=answer.retry_after, error=f"It answered {answer.status}.", blame=blame)
