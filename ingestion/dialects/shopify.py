"""Shopify's webhooks. Topic, id and instant stand in headers: they are stored around the body, which stays as it is."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw

from ingestion import envelope
from ingestion.events import Event, Json, Limits, Outcome, Reading
from ingestion.storable import Unfit, check_object, check_size, known_id, known_name
from persona.lib import jsonparts
from persona.lib.clock import parse_instant
from persona.lib.problems import Problem
from persona.lib.wire import Answer

NAME = "shopify"
LIMITS = Limits(body_bytes=2 * 1024 * 1024, events=1)

NAMES = {
    "orders/create": "order_placed",
    "orders/paid": "order_paid",
    "orders/cancelled": "order_cancelled",
    "customers/create": "customer_created",
    "checkouts/create": "checkout_started",
    "checkouts/delete": "checkout_abandoned",
}
ABOUT_A_CUSTOMER = "customers/"  # the body is the customer, not something that has one
ONCE = ("/create", "/delete", "/cancelled")  # what happens to a thing once, however often it is told


class Delivery(msgspec.Struct, frozen=True):
    """One webhook as it lies in the inbox."""

    topic: str
    body: Raw
    webhook_id: str | None = None
    triggered_at: str | None = None


_delivery = msgspec.json.Decoder(Delivery).decode


def delivered(body: bytes, *, topic: str, webhook_id: str | None, triggered_at: str | None) -> bytes:
    """What is put into the inbox for a webhook. Raises Problem 400 when `body` is no JSON object."""
    if jsonparts.members(body) is None or not jsonparts.lenient(body):
        raise Problem(400, *envelope.NOT_AN_OBJECT)
    return msgspec.json.encode(Delivery(topic, Raw(body), webhook_id, triggered_at))


def read(body: bytes) -> Reading:
    """A body may be long: of the topics that have a name here, only a few properties are kept."""
    return envelope.read_each([body], _event, sized=False)


def judge(body: bytes) -> Outcome:
    return read(body).outcome


def accepted(outcome: Outcome, batch_id: str) -> Answer:
    """200 whatever it holds: Shopify sends again what is answered otherwise, and at last sends no more."""
    return Answer(200, b'{"received":true}')


def refused(problem: Problem) -> Answer:
    document = {"detail": problem.detail, "code": problem.code}
    return Answer(problem.status, msgspec.json.encode(document), headers=problem.header_lines())


def as_sent(body: bytes) -> list[bytes]:
    return [body]


def frame(body: bytes) -> bytes:
    return b""


def alone(event: bytes, frame: bytes) -> bytes:
    return event


def spoken_by(body: bytes, user_id: str | None, anonymous_id: str | None) -> bytes:
    """Raises Problem 400: nobody but Shopify speaks here."""
    raise Problem(400, *envelope.NOT_AN_OBJECT)


def _event(index: int, raw: bytes) -> Event:
    """Raises Unfit."""
    delivery = _delivery(raw)
    body = envelope.whole(bytes(delivery.body))
    known = NAMES.get(delivery.topic)
    properties = _properties(delivery.topic, body) if known else body
    if not known:
        check_size(len(delivery.body))
    check_object(properties, "body")
    return Event(
        index=index,
        kind="track",
        name=known or known_name(f"shopify.{delivery.topic}", "topic"),
        user_id=_user(delivery.topic, body),
        message_id=_message_id(delivery, body),
        ts=parse_instant(delivery.triggered_at) if delivery.triggered_at else None,
        properties=properties,
    )


def _message_id(delivery: Delivery, body: Json) -> str | None:
    """The id of what happened, not of the delivery: two subscriptions to one topic tell the same under two ids.

    With a NUL, which no sender's own id has: nobody who can guess the number of an order can use its id up.
    """
    thing = body.get("id")
    if isinstance(thing, str | int):
        if delivery.topic.endswith(ONCE):
            return f"shopify\x00{delivery.topic}\x00{thing}"
        if body.get("updated_at"):  # whole seconds: what differs in anything else is another event
            return f"shopify\x00{delivery.topic}\x00{sha256(delivery.body).hexdigest()}"
    return known_id(delivery.webhook_id, "webhook_id")


def _properties(topic: str, body: Json) -> Json:
    """The same few for every topic that has a name of its own; what a body lacks is left out."""
    items = body.get("line_items")
    id_of = "customer_id" if topic.startswith(ABOUT_A_CUSTOMER) else "order_id"
    found = {
        id_of: None if body.get("id") is None else str(body["id"]),
        "total": _number(body.get("total_price")),
        "currency": body.get("currency"),
        "item_count": len(items) if isinstance(items, list) else None,
        "email": _email(body),
        "financial_status": body.get("financial_status"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _number(text: Any) -> float | None:
    """Amounts come as texts with two decimals."""
    if text is None:
        return None
    try:
        amount = float(text)
    except (TypeError, ValueError):
        raise Unfit("event.field_type", "total_price", "Expected a number.") from None
    return amount if abs(amount) < 1e15 else None


def _user(topic: str, body: Json) -> str | None:
    """The customer's email, else their id: as text, because such ids do not fit into a JavaScript number."""
    customer = body if topic.startswith(ABOUT_A_CUSTOMER) else _customer(body)
    return known_id(_email(body) or envelope.identifier(customer.get("id"), "customer.id"), "customer")


def _email(body: Json) -> str | None:
    given = body.get("email") or _customer(body).get("email")
    return given if isinstance(given, str) else None


def _customer(body: Json) -> Mapping[str, Any]:
    found = body.get("customer")
    return found if isinstance(found, dict) else {}
