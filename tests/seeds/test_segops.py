"""SegOps' page, sentence by sentence: track, batch, identification, Shopify, health, statistics, errors.

Each test quotes the sentences that it stands for. The original's Shopify guide and its segment pages are not in it.
"""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User

from ingestion import heartbeat
from ingestion.models import Event, EventName, Profile
from keys import shared
from keys.models import Member
from tests.ingestion.applying import apply_all
from tests.ingestion.calling import Got, Shop, call, call_view, db, shop, way_in

__all__ = ["db", "shop", "way_in"]  # fixtures

TRACK, BATCH = "/api/ingestion/track/", "/api/ingestion/track/batch/"
SINGLE = {
    "user_id": "user-123",
    "event_type": "order_placed",
    "occurred_at": "2026-04-25T14:32:00Z",
    "payload": {"order_id": "ord-456", "total": 89.95, "currency": "USD"},
}
TWO = [
    {"user_id": "user-123", "event_type": "page_viewed", "payload": {"path": "/pricing"}},
    {"user_id": "user-456", "event_type": "trial_started", "payload": {"plan": "starter"}},
]


def post(shop: Shop, path: str, body: object) -> Got:
    headers = {"authorization": f"ApiKey {shop.sk}", "content-type": "application/json"}
    return call("POST", path, headers=headers, body=msgspec.json.encode(body))


@pytest.fixture
def bearer(shop: Shop) -> Any:
    """$JWT: of Alice, who owns the shop."""
    alice = User.objects.create_user("alice", "alice@example.com", "alice-password")
    Member.objects.create(project=shop.project, user=alice, role=Member.Role.OWNER)
    given = {"username": "alice", "password": "alice-password"}
    token = call_view("POST", "/api/auth/token/", body=msgspec.json.encode(given)).json()["access"]
    yield {"authorization": f"Bearer {token}"}
    alice.delete()


def test_events_from_any_context(shop: Shop) -> None:
    """ "Ingest behavioral events from any server-side or client-side context." """
    for key in (shop.sk, shop.pk):
        answer = call("POST", TRACK, headers={"authorization": f"ApiKey {key}"}, body=msgspec.json.encode(SINGLE))
        assert answer.status == 202


def test_a_single_event(shop: Shop) -> None:
    """ "POST /api/ingestion/track/" "Response: 202 Accepted { "queued": true }" """
    answer = post(shop, TRACK, SINGLE)
    assert (answer.status, answer.json()) == (202, {"queued": True})
    apply_all()
    stored = Event.objects.get(project=shop.project)
    assert stored.props == SINGLE["payload"]
    assert stored.ts == int(datetime(2026, 4, 25, 14, 32, tzinfo=UTC).timestamp() * 1000)
    assert EventName.objects.get(project=shop.project).name == "order_placed"


@pytest.mark.parametrize("field", ["user_id", "event_type"])
def test_required(field: str, shop: Shop) -> None:
    """ "user_id string Yes: Your unique user identifier" "event_type string Yes: Snake-case event name" """
    answer = post(shop, TRACK, {name: value for name, value in SINGLE.items() if name != field})
    assert answer.status == 400
    assert field in answer.json()["detail"]


def test_occurred_at_defaults_to_the_receipt(shop: Shop) -> None:
    """ "occurred_at string No: ISO 8601 timestamp. Defaults to receive time" """
    post(shop, TRACK, {"user_id": "u", "event_type": "x"})
    apply_all()
    stored = Event.objects.get(project=shop.project)
    assert stored.ts == stored.received_at


def test_payload_is_anything(shop: Shop) -> None:
    """ "payload object No: Arbitrary key→value properties" """
    payload = {"a": [1, {"b": None}], "page.path": "/", "ü": "ü"}
    post(shop, TRACK, {"user_id": "u", "event_type": "x", "payload": payload})
    apply_all()
    assert Event.objects.get(project=shop.project).props == payload


def test_a_batch(shop: Shop) -> None:
    """ "{ "queued": 2, "skipped": 0 }" """
    answer = post(shop, BATCH, {"events": TWO})
    assert (answer.status, answer.body) == (202, b'{"queued":2,"skipped":0}')


def test_up_to_500_events(shop: Shop) -> None:
    """ "Send up to 500 events in a single request." """
    assert post(shop, BATCH, {"events": TWO[:1] * 500}).json() == {"queued": 500, "skipped": 0}
    assert post(shop, BATCH, {"events": TWO[:1] * 501}).status == 400


def test_skipped(shop: Shop) -> None:
    """ "skipped counts events dropped due to validation failures (malformed user_id, schema violations, etc.)." """
    bad = [{"user_id": {}, "event_type": "x"}, {"user_id": "u"}, {"user_id": "u", "event_type": "x", "payload": 7}]
    answer = post(shop, BATCH, {"events": [TWO[0], *bad, TWO[1]]})
    assert answer.status == 202
    assert (answer.json()["queued"], answer.json()["skipped"]) == (2, 3)
    assert [error["index"] for error in answer.json()["errors"]] == [1, 2, 3]
    apply_all()
    assert Event.objects.filter(project=shop.project).count() == 2


def test_identification(shop: Shop) -> None:
    """ "Send a context_identified event to set or update user-level properties" """
    traits = {"email": "a@example.com", "plan": "starter", "company": "Acme Corp"}
    answer = post(shop, TRACK, {"user_id": "user-123", "event_type": "context_identified", "payload": traits})
    assert answer.json() == {"queued": True}
    apply_all()
    update = {"user_id": "user-123", "event_type": "context_identified", "payload": {"plan": "team"}}
    post(shop, BATCH, {"events": [update]})
    apply_all()
    assert Profile.objects.get(project=shop.project).traits == {**traits, "plan": "team"}


def test_shopify(shop: Shop) -> None:
    """ "POST /api/ingestion/shopify/<tenant_slug>/" "Authentication is via X-Shopify-Hmac-SHA256 header — no API key
    required." """
    shared.add(project=shop.project, kind="shopify", value="hush", actor="test")
    body = b'{"id": 1, "email": "jon@example.com", "total_price": "10.00"}'
    signature = base64.b64encode(hmac.digest(b"hush", body, hashlib.sha256)).decode()
    headers = {"X-Shopify-Hmac-SHA256": signature, "X-Shopify-Topic": "orders/create"}
    lower = {name.lower(): value for name, value in headers.items()}
    assert call_view("POST", "/api/ingestion/shopify/alices/", headers=lower, body=body).status == 200
    assert call_view("POST", "/api/ingestion/shopify/alices/", body=body).status == 401


def test_health(shop: Shop) -> None:
    """ "GET /api/ingestion/health/ { "pubsub_topic": "ok", "worker": "ok", "clickhouse": "ok" }" """
    heartbeat.beat(heartbeat.WORKER)
    answer = call_view("GET", "/api/ingestion/health/")
    assert answer.status == 200, answer.body
    assert {"pubsub_topic": "ok", "worker": "ok", "clickhouse": "ok"}.items() <= answer.json().items()


@pytest.mark.parametrize("window", ["24h", "7d"])
def test_stats(window: str, shop: Shop, bearer: dict[str, str]) -> None:
    """ "GET /api/ingestion/stats/?window=24h" with "Authorization: Bearer $JWT"; "window accepts 24h or 7d." """
    post(shop, BATCH, {"events": [*TWO, TWO[0]]})
    apply_all()
    found = call_view("GET", f"/api/ingestion/stats/?window={window}", headers=bearer).json()
    assert (found["window"], found["total_events"], found["unique_users"]) == (window, 3, 2)
    newest = found["timeseries"][-2:]  # the hour may have ended meanwhile
    assert sum(one["event_count"] for one in newest) == 3
    assert set(found["timeseries"][0]) == {"bucket", "event_count", "unique_users"}
    assert len(found["timeseries"]) == {"24h": 24, "7d": 7}[window]
    assert found["event_types"] == [
        {"event_type": "page_viewed", "count": 2},
        {"event_type": "trial_started", "count": 1},
    ]
    assert call_view("GET", "/api/ingestion/stats/?window=1h", headers=bearer).status == 400


def test_recent_errors(shop: Shop, bearer: dict[str, str]) -> None:
    """ "GET /api/ingestion/errors/?limit=50" "Returns up to 100 recent error records with ts, error_type, and detail
    fields." """
    post(shop, BATCH, {"events": [{"user_id": "u", "event_type": "x", "occurred_at": "soon"}] * 120})
    apply_all()
    found = call_view("GET", "/api/ingestion/errors/?limit=50", headers=bearer).json()
    assert len(found) == 50
    assert {tuple(record) for record in found} == {("ts", "error_type", "detail")}
    assert len(call_view("GET", "/api/ingestion/errors/?limit=1000", headers=bearer).json()) == 100


def test_the_answers_are_json(shop: Shop) -> None:
    """Also those that refuse."""
    for answer in (
        post(shop, TRACK, []),
        post(shop, BATCH, {}),
        call("GET", TRACK),
        call_view("GET", "/api/ingestion/x"),
    ):
        assert answer.headers["content-type"] == "application/json"
        assert json.loads(answer.body)["detail"]
