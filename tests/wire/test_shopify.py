"""Shopify's webhooks: the signature, the topics, and the same delivery twice."""

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest

from ingestion.dialects import shopify
from ingestion.models import Event, EventName
from keys import shared
from tests.ingestion.applying import apply_all
from tests.ingestion.calling import Got, Shop, call, call_view, db, elsewhere, shop, way_in

__all__ = ["db", "elsewhere", "shop", "way_in"]  # fixtures

PATH = "/api/ingestion/shopify/alices/"
VECTOR = (
    b'{"id":820982911946154508,"email":"jon@example.com","total_price":"403.00","currency":"USD",'
    b'"line_items":[{"id":1},{"id":2}],"financial_status":"paid"}'
)
SIGNED = "1coTICGk0bgO8jjlKH1yLCkA8XYiGmrAUtapr7Xd1Uk="
ORDER = {
    "order_id": "820982911946154508", "total": 403.0, "currency": "USD", "item_count": 2, "email": "jon@example.com",
    "financial_status": "paid",
}  # fmt: skip


@pytest.fixture
def hush(shop: Shop) -> None:
    """Alice's shop is connected."""
    shared.add(project=shop.project, kind="shopify", value="hush", actor="test")


def signature(body: bytes, signer: str = "hush") -> str:
    return base64.b64encode(hmac.digest(signer.encode(), body, hashlib.sha256)).decode()


def deliver(body: bytes, topic: str = "orders/create", *, path: str = PATH, **headers: str) -> Got:
    given = {"x-shopify-topic": topic, "x-shopify-hmac-sha256": signature(body), "x-shopify-webhook-id": "w-1"}
    given |= {f"x-shopify-{name.replace('_', '-')}": value for name, value in headers.items()}
    return call_view("POST", path, headers={name: value for name, value in given.items() if value}, body=body)


def meaning(topic: str, body: dict[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    """Name, user and properties of the event that a webhook means."""
    kept = shopify.delivered(json.dumps(body).encode(), topic=topic, webhook_id="w-1", triggered_at=None)
    (event,) = shopify.read(kept).events
    return event.name, event.user_id, event.properties


def test_the_vector(shop: Shop, hush: None) -> None:
    assert signature(VECTOR) == SIGNED
    assert deliver(VECTOR).status == 200
    (row,) = shop.rows()
    (event,) = shopify.read(bytes(row.body)).events
    assert (event.name, event.user_id, event.properties) == ("order_placed", "jon@example.com", ORDER)
    assert VECTOR in bytes(row.body), "as it came"


@pytest.mark.parametrize("way", [call, call_view])
@pytest.mark.parametrize("path", [PATH, PATH.rstrip("/")])
def test_any_way_in(path: str, way: Any, shop: Shop, hush: None) -> None:
    headers = {"x-shopify-hmac-sha256": SIGNED, "x-shopify-topic": "orders/create"}
    assert way("POST", path, headers=headers, body=VECTOR).status == 200


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("orders/create", "order_placed"),
        ("orders/paid", "order_paid"),
        ("orders/cancelled", "order_cancelled"),
        ("checkouts/create", "checkout_started"),
        ("checkouts/delete", "checkout_abandoned"),
    ],
)
def test_topics(topic: str, name: str) -> None:
    assert meaning(topic, json.loads(VECTOR)) == (name, "jon@example.com", ORDER)


def test_a_customer() -> None:
    body = {"id": 706405506930370084, "email": "bob@example.com", "first_name": "Bob"}
    said = ("customer_created", "bob@example.com", {"customer_id": "706405506930370084", "email": "bob@example.com"})
    assert meaning("customers/create", body) == said
    del body["email"]
    assert meaning("customers/create", body)[1] == "706405506930370084"


def test_whose_order_it_is() -> None:
    customer = {"id": 9007199254740993, "email": "c@example.com"}
    assert meaning("orders/create", {"id": 1, "customer": customer})[1] == "c@example.com"
    assert meaning("orders/create", {"id": 1, "customer": {"id": 9007199254740993}})[1] == "9007199254740993"
    assert meaning("orders/create", {"id": 1})[1] is None
    assert meaning("checkouts/delete", {"id": 1})[2] == {"order_id": "1"}


def test_an_unknown_topic_is_stored(shop: Shop, hush: None) -> None:
    body = b'{"id": 5, "title": "Lamp"}'
    assert deliver(body, "products/update").status == 200
    apply_all()
    assert EventName.objects.get(project=shop.project).name == "shopify.products/update"
    assert Event.objects.get(project=shop.project).props == {"id": 5, "title": "Lamp"}


@pytest.mark.parametrize(
    "headers",
    [
        {"hmac_sha256": signature(VECTOR, "another")},
        {"hmac_sha256": signature(VECTOR + b" ")},
        {"hmac_sha256": SIGNED.lower()},
        {"hmac_sha256": "é"},
        {"hmac_sha256": ""},
    ],
)
def test_forged(headers: dict[str, str], shop: Shop, hush: None) -> None:
    answer = deliver(VECTOR, **headers)
    assert (answer.status, answer.json()["code"]) == (401, "auth.signature_invalid")
    assert not shop.rows()


def test_the_secret_of_one_shop_is_of_no_use_in_another(shop: Shop, hush: None, elsewhere: Shop) -> None:
    """And what does not exist answers as what is not connected, and as a wrong signature."""
    answers = [deliver(VECTOR, path=f"/api/ingestion/shopify/{slug}/") for slug in ("charlies", "nobody")]
    answers.append(deliver(VECTOR, hmac_sha256=signature(VECTOR, "x")))
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert not elsewhere.rows()


def test_two_secrets_while_one_follows_the_other(shop: Shop, hush: None) -> None:
    shared.add(project=shop.project, kind="shopify", value="new", actor="test")
    both = [deliver(VECTOR, hmac_sha256=signature(VECTOR, secret)).status for secret in ("hush", "new")]
    assert both == [200, 200]


def stored(shop: Shop) -> int:
    apply_all()
    return Event.objects.filter(project=shop.project).count()


def test_an_order_is_placed_once_however_often_it_is_told(shop: Shop, hush: None) -> None:
    """Again, by a second subscription (another delivery id, perhaps another form of the body), or without an id."""
    for webhook in ("w-1", "w-1", "w-2", ""):
        assert deliver(VECTOR, webhook_id=webhook).status == 200
    assert deliver(VECTOR.replace(b'"currency":"USD",', b""), webhook_id="w-3").status == 200
    assert stored(shop) == 1
    assert deliver(VECTOR, "orders/paid").status == 200
    assert stored(shop) == 2, "another topic is another event"


def test_what_happens_to_a_thing_again_and_again(shop: Shop, hush: None) -> None:
    """Told twice it is one update; two updates of one second are two."""
    first, second = (b'{"id":7,"updated_at":"2026-11-21T07:00:00Z","tags":"%s"}' % tag for tag in (b"a", b"b"))
    for body, webhook in ((first, "w-1"), (first, "w-2"), (second, "w-3")):
        assert deliver(body, "orders/updated", webhook_id=webhook).status == 200
    assert stored(shop) == 2


@pytest.mark.parametrize(("ids", "events"), [(("w-1", "w-1"), 1), (("w-1", "w-2"), 2), (("", ""), 1)])
def test_what_says_neither_what_nor_when_is_known_by_its_delivery(
    ids: tuple[str, ...], events: int, shop: Shop, hush: None
) -> None:
    """Without an id of the delivery either, by its signature."""
    for webhook in ids:
        assert deliver(b'{"available":3}', "inventory_levels/update", webhook_id=webhook).status == 200
    assert stored(shop) == events


def test_nobody_uses_up_the_id_of_an_order(shop: Shop, hush: None) -> None:
    """Whoever knows the number of an order, and a publishable key, cannot keep the order from being counted."""
    order = "shopify\x00orders/create\x00820982911946154508"
    for guess in (order, order.replace("\x00", ""), order.replace("\x00", ":")):
        shop.ingest({"type": "track", "event": "x", "userId": "charlie", "messageId": guess})
    assert deliver(VECTOR).status == 200
    apply_all()
    assert EventName.objects.filter(project=shop.project, name="order_placed").exists()


def test_when_it_happened(shop: Shop, hush: None) -> None:
    deliver(VECTOR, triggered_at="2023-11-14T22:13:20.000Z")
    apply_all()
    assert Event.objects.get(project=shop.project).ts == 1_700_000_000_000


def test_a_long_order_is_an_order(shop: Shop, hush: None) -> None:
    order = {**json.loads(VECTOR), "line_items": [{"id": number, "title": "x" * 200} for number in range(1_000)]}
    body = msgspec.json.encode(order)
    assert deliver(body).status == 200
    apply_all()
    assert Event.objects.get(project=shop.project).props["item_count"] == 1_000


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null"])
def test_a_body_that_is_no_object(body: bytes, shop: Shop, hush: None) -> None:
    answer = deliver(body)
    assert (answer.status, answer.json()["code"]) == (400, "request.not_an_object")


def test_poison_is_received_once_and_kept_as_a_dead_letter(shop: Shop, hush: None) -> None:
    for body in (b'{"id": 1, "total_price": "much"}', b'{"email": "\\ud800"}', b'{"email": "a\\u0000b"}'):
        assert deliver(body).status == 200
    apply_all()
    assert not Event.objects.filter(project=shop.project).exists()


def test_a_dead_letter_reads_as_it_did() -> None:
    kept = shopify.delivered(VECTOR, topic="orders/paid", webhook_id="w-1", triggered_at=None)
    assert shopify.read(shopify.alone(shopify.as_sent(kept)[0], shopify.frame(kept))) == shopify.read(kept)
