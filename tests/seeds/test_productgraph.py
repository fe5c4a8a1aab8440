"""ProductGraph's page, sentence by sentence. Each test quotes the sentences that it stands for.

Of later work, and not here: "Analytics Forwarding" (events are forwarded to Amplitude and Mixpanel; tests/delivery).
"""

from typing import Any

import msgspec
import pytest

from ingestion.models import Event, EventName
from tests.ingestion.applying import apply_all
from tests.ingestion.calling import Got, Shop, call, call_view, db, shop, way_in

__all__ = ["db", "shop", "way_in"]  # fixtures

Json = dict[str, Any]
PATH = "/v1/events"
TYPES = [
    "page.view",
    "page.leave",
    "ui.click",
    "ui.input",
    "ui.scroll",
    "ui.focus",
    "ui.blur",
    "ui.submit",
    "state.change",
    "api.request",
    "api.response",
    "journey.step",
    "error",
    "performance",
    "custom",
]
REQUIRED = ("event_id", "project_id", "session.id", "event.type", "event.timestamp")
OPTIONAL: Json = {
    "event.name": "Viewed", "event.sequence": 3, "page.path": "/products", "page.title": "Products",
    "page.url": "https://shop.example/products", "page.referrer": "https://elsewhere.example/",
    "ui.component.name": "AddToCartButton", "ui.component.path": "ProductPage/ProductCard/AddToCartButton",
    "ui.component.type": "button", "ui.action": "click", "ui.element": "#add", "ui.element.text": "Add to Cart",
    "ui.state.key": "cart.items", "ui.state.before": "[]", "ui.state.after": '[{"id":"prod_123","qty":1}]',
    "gen_ai.journey.id": "checkout_flow", "gen_ai.journey.step.id": "step_payment",
    "gen_ai.journey.step.name": "Enter Payment Details", "api.method": "GET", "api.path": "/api/products",
    "api.status_code": 200, "api.duration_ms": 12, "error.type": "TypeError", "error.message": "x is undefined",
    "error.stack": "at y", "duration_ms": 7, "metadata": {"plan": "team", "nested": {"a.b": [1, None, True]}},
    "performance.lcp": 1200.5,
}  # fmt: skip


def event(number: int = 1, /, **more: Any) -> Json:
    frame = {"event_id": f"evt_{number:03d}", "project_id": "proj_demo", "session.id": "sess_abc123"}
    return {**frame, "event.type": "page.view", "event.timestamp": "2024-01-15T10:30:00Z", **more}


def send(shop: Shop, *events: Any, **headers: str) -> Got:
    given = {"content-type": "application/json", "x-pg-api-key": shop.sk, **headers}
    return call("POST", PATH, headers=given, body=msgspec.json.encode({"events": events}))


def test_events_are_sent_to_one_address(shop: Shop) -> None:
    """ "The Event Ingestion API allows you to send telemetry events from your application to ProductGraph." "POST
    /v1/events" """
    assert send(shop, event()).status == 202


def test_the_key_is_in_a_header(shop: Shop) -> None:
    """ "Include your project API key in the request header: X-PG-API-Key: your-api-key" "X-PG-API-Key: Yes" """
    for key in (shop.sk, shop.pk):
        assert send(shop, event(), **{"x-pg-api-key": key}).status == 202
    assert call("POST", PATH, body=b'{"events":[]}').status == 401


@pytest.mark.parametrize("field", REQUIRED)
def test_required_fields(field: str, shop: Shop) -> None:
    """ "event_id string (required)" ... "event.timestamp ISO8601 (required)" """
    incomplete = {name: value for name, value in event().items() if name != field}
    assert send(shop, incomplete).json()["errors"] == [{"index": 0, "error": f"{field}: required"}]


def test_optional_fields_are_kept_as_they_are(shop: Shop) -> None:
    """ "user.id", "event.name", ..., "metadata: Custom key-value pairs"; "OpenTelemetry-compatible field names" """
    assert send(shop, event(1, **{"user.id": "u-1"}, **OPTIONAL)).status == 202
    apply_all()
    stored = Event.objects.get(project=shop.project)
    assert stored.props == {**OPTIONAL, "project_id": "proj_demo", "session.id": "sess_abc123"}
    assert stored.profile_id is not None
    assert stored.ts == 1705314600000


@pytest.mark.parametrize("kind", TYPES)
def test_event_types(kind: str, shop: Shop) -> None:
    """The table of event types; the type is the name that rules know an event by."""
    assert send(shop, event(1, **{"event.type": kind})).json()["accepted"] == 1
    apply_all()
    assert EventName.objects.get(project=shop.project).name == kind


def test_202(shop: Shop) -> None:
    """ "Success (202 Accepted) { "accepted": 2, "rejected": 0, "errors": [] }" """
    answer = send(shop, event(1), event(2))
    assert (answer.status, answer.body) == (202, b'{"accepted":2,"rejected":0,"errors":[]}')


def test_partial_success(shop: Shop) -> None:
    """ "Partial Success (202 Accepted) { "accepted": 1, "rejected": 1, "errors": [{ "index": 1, "error": "event_id:
    required" }] }" """
    incomplete = {name: value for name, value in event(2).items() if name != "event_id"}
    answer = send(shop, event(1), incomplete)
    assert answer.status == 202
    assert answer.json() == {"accepted": 1, "rejected": 1, "errors": [{"index": 1, "error": "event_id: required"}]}


def test_400(shop: Shop) -> None:
    """ "400 Bad Request: Invalid JSON or batch too large" """
    key = {"x-pg-api-key": shop.sk}
    assert call("POST", PATH, headers=key, body=b"{").status == 400
    assert send(shop, *[event()] * 1_001).status == 400


def test_401(shop: Shop) -> None:
    """ "401 Unauthorized: Missing or invalid API key" """
    assert call("POST", PATH, body=b"{}").status == 401
    assert send(shop, event(), **{"x-pg-api-key": "your-api-key"}).status == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_405(method: str, shop: Shop) -> None:
    """ "405 Method Not Allowed: Must use POST" """
    assert [way(method, PATH).status for way in (call, call_view)] == [405, 405]


def test_most_events_in_a_batch(shop: Shop) -> None:
    """ "Max events per batch: 1,000" """
    assert send(shop, *[event(n) for n in range(1_000)]).json()["accepted"] == 1_000


def test_the_largest_body(shop: Shop) -> None:
    """ "Max request body size: 10 MB" """
    most = 10 * 1024 * 1024
    key = {"x-pg-api-key": shop.sk}
    start = b'{"events":[' + msgspec.json.encode(event()) + b'],"x":"'
    assert call("POST", PATH, headers=key, body=start + b"x" * (most - len(start) - 2) + b'"}').status == 202
    assert call("POST", PATH, headers=key, body=start + b"x" * (most - len(start) - 1) + b'"}').status == 400


def test_the_largest_event(shop: Shop) -> None:
    """ "Max event size: 100 KB": a larger one costs no other."""
    room = 100 * 1024 - len(msgspec.json.encode(event(1, metadata="")))
    fits, too_large = event(1, metadata="x" * room), event(2, metadata="x" * (room + 1))
    answer = send(shop, fits, too_large, event(3)).json()
    assert (answer["accepted"], answer["errors"]) == (2, [{"index": 1, "error": "event: too large"}])


@pytest.mark.parametrize(
    "example",
    [
        {"event_id": "evt_001", "event.type": "page.view", "page.path": "/products", "page.title": "Products"},
        {"event_id": "evt_002", "event.type": "ui.click", "ui.component.name": "AddToCartButton", "ui.action": "click"},
        {"event_id": "evt_003", "event.type": "state.change", "ui.state.key": "cart.items", "ui.state.before": "[]"},
        {"event_id": "evt_004", "event.type": "journey.step", "gen_ai.journey.id": "checkout_flow"},
    ],
    ids=["page view", "button click", "state change", "journey step"],
)
def test_the_examples(example: Json, shop: Shop) -> None:
    """ "Page View", "Button Click", "State Change", "Journey Step" """
    assert send(shop, event(**example)).json() == {"accepted": 1, "rejected": 0, "errors": []}


def test_the_batch_of_the_example(shop: Shop) -> None:
    """ "Batch Events" """
    kinds = ("page.view", "ui.input", "ui.submit")
    events = [event(5 + n, **{"event.type": kind, "page.path": "/checkout"}) for n, kind in enumerate(kinds)]
    assert send(shop, *events).json()["accepted"] == 3
    apply_all()
    assert set(EventName.objects.filter(project=shop.project).values_list("name", flat=True)) == set(kinds)


def test_storage(shop: Shop) -> None:
    """ "POST /v1/events -> Storage (PostgreSQL)": and the same id is stored once."""
    for _ in range(2):
        send(shop, event(1), event(2))
    apply_all()
    assert Event.objects.filter(project=shop.project).count() == 2


def test_health(shop: Shop) -> None:
    """ "GET /health Response: {"status":"ok"}" """
    for path in ("/health", "/health/"):
        answer = call("GET", path)
        assert (answer.status, answer.body) == (200, b'{"status":"ok"}')


def test_ready(shop: Shop) -> None:
    """ "GET /ready Response: {"status":"ready"}": with more beside it."""
    for path in ("/ready", "/ready/"):
        answer = call("GET", path)
        assert (answer.status, answer.json()["status"]) == (200, "ready")
