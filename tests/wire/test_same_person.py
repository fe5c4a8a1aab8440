"""The same person with the same events through any wire: the same profile, the same personas, nothing twice."""

import base64
import gzip
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ingestion import wires
from ingestion.models import Alias, Event, Profile
from keys import shared
from segments.models import Change
from tests.ingestion.calling import INGEST, Shop, call, call_view, db, elsewhere, shop, way_in
from tests.segments.living import members, persona, settle

__all__ = ["db", "elsewhere", "shop", "way_in"]  # fixtures

Json = dict[str, Any]
Request = tuple[str, object]
TOTAL = {"op": "trait", "path": "total", "cmp": "gte", "value": 100}
DOTTED = {"op": "trait", "path": 'properties."page.path"', "cmp": "eq", "value": "/checkout"}
RULES: dict[str, Json] = {
    "keen": {"op": "event", "event": "page_viewed", "cmp": "gte", "value": 3, "window": {"last": "P1D"}},
    "rich": {"op": "event", "event": "order_placed", "cmp": "gte", "value": 1, "where": TOTAL},
    "dotted": {"op": "event", "event": "order_placed", "cmp": "gte", "value": 1, "where": DOTTED},
    "cheap": {"op": "not", "of": {"op": "event", "event": "order_placed", "cmp": "gte", "value": 1, "where": TOTAL}},
}
TEAM = {"op": "trait", "path": "plan", "cmp": "eq", "value": "team"}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def story(prefix: str) -> list[Json]:
    """What a person does: three pages and an order; each event has an id."""
    pages = [{"id": f"{prefix}-{n}", "name": "page_viewed", "properties": {"path": f"/{n}"}} for n in range(3)]
    order = {"total": 120, "page.path": "/checkout"}
    return [*pages, {"id": f"{prefix}-order", "name": "order_placed", "properties": order}]


def as_pipeline(user: str, events: list[Json]) -> list[Request]:
    return [(INGEST, {"batch": [_camel(user, event) for event in events], "sentAt": now()})]


def as_segment(user: str, events: list[Json]) -> list[Request]:
    return [("/v1/batch", {"batch": [_camel(user, event) for event in events], "sentAt": now()})]


def as_segment_singles(user: str, events: list[Json]) -> list[Request]:
    return [("/v1/track", {**_camel(user, event), "sentAt": now()}) for event in events]


def as_segops(user: str, events: list[Json]) -> list[Request]:
    return [("/api/ingestion/track/batch/", {"events": [_snake(user, event) for event in events]})]


def as_segops_singles(user: str, events: list[Json]) -> list[Request]:
    return [("/api/ingestion/track/", _snake(user, event)) for event in events]


def as_productgraph(user: str, events: list[Json]) -> list[Request]:
    return [("/v1/events", {"events": [_dotted(user, event) for event in events]})]


def _camel(user: str, event: Json) -> Json:
    said = {"event": event["name"], "properties": event["properties"], "messageId": event["id"]}
    return {"type": "track", "userId": user, "timestamp": now(), **said}


def _snake(user: str, event: Json) -> Json:
    said = {"event_type": event["name"], "payload": event["properties"], "message_id": event["id"]}
    return {"user_id": user, "occurred_at": now(), **said}


def _dotted(user: str, event: Json) -> Json:
    frame = {"project_id": "any", "session.id": "s-1", "user.id": user, "event.timestamp": now()}
    return {"event_id": event["id"], "event.type": event["name"], **frame, **event["properties"]}


Wire = Callable[[str, list[Json]], list[Request]]
WIRES: dict[str, Wire] = {
    "pipeline": as_pipeline,
    "segment": as_segment,
    "segment_singles": as_segment_singles,
    "segops": as_segops,
    "segops_singles": as_segops_singles,
    "productgraph": as_productgraph,
}
TRAITS: dict[str, Callable[[str, Json], Request]] = {
    "pipeline": lambda user, traits: (INGEST, {"batch": [{"type": "identify", "userId": user, "traits": traits}]}),
    "segment": lambda user, traits: ("/v1/identify", {"userId": user, "traits": traits}),
    "rudder": lambda user, traits: (
        "/v1/batch",
        {"batch": [{"type": "identify", "userId": user, "context": {"traits": traits}}]},
    ),
    "segops": lambda user, traits: (
        "/api/ingestion/track/",
        {"user_id": user, "event_type": "context_identified", "payload": traits},
    ),
}


def send(shop: Shop, requests: list[Request]) -> None:
    for path, body in requests:
        answer = call("POST", path, headers={"x-api-key": shop.sk}, body=msgspec.json.encode(body))
        assert answer.status in (200, 202), answer.body


def test_the_same_events_make_the_same_member(shop: Shop) -> None:
    for slug, rule in RULES.items():
        persona(shop.project, slug, rule)
    for wire, spoken in WIRES.items():
        send(shop, spoken(f"of-{wire}", story(wire)))
        settle()
    everybody = {f"of-{wire}" for wire in WIRES}
    assert {slug: members(shop.project, slug) for slug in RULES} == {
        "keen": everybody,
        "rich": everybody,
        "dotted": everybody,
        "cheap": set(),
    }


def test_the_same_person_is_one_profile(shop: Shop) -> None:
    for wire, spoken in WIRES.items():
        send(shop, spoken("alice", story(wire)))
    settle()
    assert Profile.objects.filter(project=shop.project).count() == 1
    assert Event.objects.filter(project=shop.project).count() == 4 * len(WIRES)


def test_traits_come_through_every_wire_that_has_them(shop: Shop) -> None:
    persona(shop.project, "team", TEAM)
    for wire, spoken in TRAITS.items():
        send(shop, [spoken(f"of-{wire}", {"plan": "team"})])
    settle()
    assert members(shop.project, "team") == {f"of-{wire}" for wire in TRAITS}


@pytest.mark.parametrize("first", WIRES)
def test_a_retry_through_another_wire_changes_nothing(first: str, shop: Shop) -> None:
    """The same ids again, by every wire: no second event, no second transition."""
    for slug, rule in RULES.items():
        persona(shop.project, slug, rule)
    for spoken in (WIRES[first], *WIRES.values()):
        send(shop, spoken("alice", story("same")))
        settle()
    assert Event.objects.filter(project=shop.project).count() == 4
    rows = Change.objects.filter(project=shop.project)
    assert sorted(rows.values_list("op", flat=True)) == ["enter"] * 3


def test_a_session_without_a_user_is_a_profile_of_its_own(shop: Shop) -> None:
    """Of ProductGraph: user.id, else user.anonymous_id, else session.id."""
    (_, body), *_ = as_productgraph("alice", story("x")[:1])
    event = body["events"][0]  # type: ignore[index]  # made above
    nobody = {name: value for name, value in event.items() if name != "user.id"}
    send(shop, [("/v1/events", {"events": [event, {**nobody, "event_id": "2"}]})])
    send(shop, [("/v1/events", {"events": [{**nobody, "event_id": "3", "user.anonymous_id": "a-1"}]})])
    settle()
    kinds = Alias.objects.filter(project=shop.project).values_list("kind", "external_id")
    assert sorted(kinds) == [("anon", "a-1"), ("session", "s-1"), ("user", "alice")]


def test_a_key_writes_into_its_own_project_alone(shop: Shop, elsewhere: Shop) -> None:
    """Whatever the body says of projects and keys."""
    (_, graph), *_ = as_productgraph("alice", story("x"))
    send(elsewhere, [("/v1/events", graph), *as_segops("alice", story("y"))])
    body = {"writeKey": shop.pk, "batch": [_camel("alice", event) for event in story("z")]}
    send(elsewhere, [("/v1/batch", body)])
    settle()
    assert Event.objects.filter(project=shop.project).count() == 0
    assert Event.objects.filter(project=elsewhere.project).count() == 12


def test_the_key_in_the_body_alone(shop: Shop) -> None:
    """What a browser sends that may not set headers (a beacon)."""
    body = msgspec.json.encode({**_camel("alice", story("x")[0]), "writeKey": shop.pk})
    assert call("POST", "/v1/t", headers={"content-type": "text/plain"}, body=body).json() == {"success": True}
    assert shop.rows()[0].project_id == shop.project.pk
    wrong = call("POST", "/v1/t", body=b'{"writeKey": "pk_live_nothing", "event": "x"}')
    assert (wrong.status, wrong.json()["code"]) == (401, "auth.invalid_key")
    assert call("POST", "/v1/t", body=b'{"event": "x"}').json()["code"] == "auth.missing_key"


def test_the_key_in_a_compressed_body(shop: Shop) -> None:
    """Opened for a stranger as far as a beacon may be long, and no further."""
    event = {**_camel("alice", story("x")[0]), "writeKey": shop.pk}
    packed = {"content-encoding": "gzip"}
    for way in (call, call_view):
        answer = way("POST", "/v1/t", headers=packed, body=gzip.compress(msgspec.json.encode(event)))
        assert (answer.status, answer.json()) == (200, {"success": True})
    bomb = gzip.compress(msgspec.json.encode({**event, "properties": {"x": "x" * wires.BEACON_BYTES}}))
    for body in (bomb, b"no gzip", b""):
        assert call("POST", "/v1/t", headers=packed, body=body).json()["code"] == "auth.missing_key"
    assert len(shop.rows()) == 2


def test_an_order_of_shopify_is_an_order_like_any_other(shop: Shop) -> None:
    """The person that the other wires call by the email is the customer of the order."""
    persona(shop.project, "rich", RULES["rich"])
    shared.add(project=shop.project, kind="shopify", value="hush", actor="test")
    body = b'{"id":1,"email":"alice@example.com","total_price":"120.00"}'
    signed = base64.b64encode(hmac.digest(b"hush", body, "sha256")).decode()
    headers = {"x-shopify-topic": "orders/create", "x-shopify-hmac-sha256": signed}
    assert call_view("POST", "/api/ingestion/shopify/alices/", headers=headers, body=body).status == 200
    settle()
    assert members(shop.project, "rich") == {"alice@example.com"}
    for wire, spoken in WIRES.items():
        send(shop, spoken("alice@example.com", story(wire)))
    settle()
    assert Profile.objects.filter(project=shop.project).count() == 1
    assert Change.objects.filter(project=shop.project).count() == 1
