"""Destinations and deliveries over HTTP: make, change, rotate, pause, ping, send again; who may, what is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from delivery.models import Destination
from delivery.sending import turn
from keys.models import AuditEntry, Project
from keys.services import issue_key
from tests.api.conftest import Api
from tests.delivery.conftest import deliver, visit
from tests.delivery.receiver import Receiver, answer, receiver
from tests.segments.living import persona, viewed

pytestmark = pytest.mark.django_db


@pytest.fixture
def inbox(settings: Settings) -> Iterator[Receiver]:
    settings.PERSONA_ALLOW_PRIVATE_DESTINATIONS = True
    with receiver() as one:
        yield one


@pytest.fixture
def shop(project: Project) -> Project:
    persona(project, "seen", viewed(1))
    return project


def made(api: Api, url: str, **fields: Any) -> Any:
    status, document = api.ask("POST", "destinations", {"kind": "webhook", "name": "crm", "url": url, **fields})
    assert status == 201, document
    return document


def test_the_life_of_a_destination(api: Api, shop: Project, inbox: Receiver) -> None:
    hook = made(api, inbox.url, personas=["seen"], ops=["enter"])
    assert hook["secret"].startswith("whsec_")
    assert (hook["status"], hook["lag"], hook["waiting"]) == ("active", 0, 0)
    address = f"destinations/{hook['id']}"
    assert "secret" not in api.get(address)
    assert [one["id"] for one in api.get("destinations")["results"]] == [hook["id"]]
    status, changed = api.ask("PATCH", address, {"name": "the crm", "ops": [], "settings": {"batch": 10}})
    assert (status, changed["name"], changed["ops"], changed["settings"]) == (200, "the crm", [], {"batch": 10})
    assert api.ask("POST", f"{address}/pause")[1]["paused_because"] == "Paused by hand."
    assert api.ask("POST", f"{address}/resume")[1]["status"] == "active"
    status, rotated = api.ask("POST", f"{address}/rotate", {"grace_seconds": 60})
    assert status == 200
    assert rotated["secret"] != hook["secret"]
    assert api.ask("DELETE", address) == (204, None)
    assert api.ask("GET", address)[0] == 404
    said = list(
        AuditEntry.objects.filter(project=shop, target=hook["id"]).order_by("id").values_list("action", flat=True)
    )
    assert said == [
        "destination.created", "destination.changed", "destination.paused", "destination.resumed",
        "destination.rotated", "destination.deleted",
    ]  # fmt: skip


def test_what_was_delivered_is_shown_with_request_and_answer(api: Api, shop: Project, inbox: Receiver) -> None:
    hook = made(api, inbox.url)
    inbox.reply = answer(500, b"broken\x00 here")
    visit(shop, "ann", "bob")
    turn.deliver_some()
    (shown, _) = api.get(f"deliveries?destination={hook['id']}&status=waiting")["results"]
    assert (shown["status"], shown["tried"], shown["last"]["status"]) == ("waiting", 1, 500)
    assert shown["last"]["answer"] == "broken here"
    assert shown["next_at"] > shown["created_at"]
    whole = api.get(f"deliveries/{shown['id']}")
    assert whole["body"]["external_ids"] in (["ann"], ["bob"])
    assert len(whole["tries"]) == 1
    state = api.get(f"destinations/{hook['id']}")
    assert (state["waiting"], state["last_error"]) == (2, "It answered 500.")
    assert state["failing_since"]
    inbox.reply = answer(200)
    deliver(Destination.objects.get())
    assert api.get("deliveries?status=waiting")["results"] == []
    profile = whole["body"]["profile"]
    assert [one["status"] for one in api.get(f"deliveries?profile={profile}")["results"]] == ["delivered"]
    assert len(api.get("deliveries?persona=seen")["results"]) == 2


def test_deliveries_come_page_by_page(api: Api, shop: Project, inbox: Receiver) -> None:
    made(api, inbox.url)
    visit(shop, *(f"user-{number}" for number in range(5)))
    deliver(Destination.objects.get())
    seen: list[int] = []
    page: Any = {"next": ""}
    while page["next"] is not None:
        page = api.get(f"deliveries?limit=2&cursor={page['next']}")
        seen += [one["seq"] for one in page["results"]]
    assert sorted(seen) == [1, 2, 3, 4, 5]
    assert seen != sorted(seen)  # newest first
    assert api.ask("GET", "deliveries?cursor=x")[1]["code"] == "request.cursor_invalid"
    assert api.ask("GET", "deliveries?status=lost")[1]["code"] == "request.parameter_invalid"
    assert api.ask("GET", "deliveries?destination=d_none")[0] == 404
    assert api.ask("GET", "deliveries/7x")[0] == 404


def test_one_delivery_or_a_range_is_sent_again(api: Api, shop: Project, inbox: Receiver) -> None:
    hook = made(api, inbox.url)
    visit(shop, "ann", "bob", "cem")
    deliver(Destination.objects.get())
    inbox.got.clear()
    address = f"destinations/{hook['id']}/redeliver"
    assert api.ask("POST", address, {"first": 2, "last": 3}) == (202, {"deliveries": 2})
    newest = api.get("deliveries?limit=1&status=delivered")["results"][0]
    assert api.ask("POST", f"deliveries/{newest['id']}/redeliver") == (202, {"deliveries": 1})
    assert api.ask("POST", f"deliveries/{newest['id']}/redeliver")[1]["code"] == "delivery.waiting"
    deliver(Destination.objects.get())
    assert sorted(one["seq"] for one in inbox.messages) == [1, 2, 3]
    assert api.ask("POST", address, {"first": 3, "last": 2})[1]["code"] == "delivery.range_invalid"


def test_a_ping_says_what_came_of_it(api: Api, shop: Project, inbox: Receiver) -> None:
    hook = made(api, inbox.url)
    inbox.reply = answer(418, b"short and stout")
    status, result = api.ask("POST", f"destinations/{hook['id']}/ping")
    assert (status, result["status"], result["answer"], result["error"]) == (200, 418, "short and stout", None)
    assert inbox.messages[0]["type"] == "ping"
    assert inbox.got[0].headers["persona-signature"].startswith("t=")


def test_a_private_address_is_refused_where_it_is_connected_to(api: Api, shop: Project) -> None:
    with receiver() as inside:
        hook = made(api, inside.url)
        _, result = api.ask("POST", f"destinations/{hook['id']}/ping")
        assert result["error"] == "The name leads to a private address, which is not allowed here."
        assert inside.got == []


def test_the_key_of_an_analytics_product_is_given_and_never_shown(api: Api, shop: Project) -> None:
    body = {"kind": "mixpanel", "name": "mp", "secret": "their-token"}
    status, made_one = api.ask("POST", "destinations", body)
    assert (status, made_one["secret"], made_one["url"]) == (201, None, "https://api.mixpanel.com")
    assert "their-token" not in str(api.get("destinations"))
    assert api.ask("PATCH", f"destinations/{made_one['id']}", {"secret": "another"})[0] == 200
    assert api.ask("POST", f"destinations/{made_one['id']}/ping")[1]["code"] == "destination.no_ping"
    assert api.ask("POST", f"destinations/{made_one['id']}/redeliver", {"first": 1, "last": 1})[1]["code"] == (
        "destination.no_range"
    )
    assert api.ask("POST", f"destinations/{made_one['id']}/rotate", {})[1]["code"] == "destination.invalid"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "webhook"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://user:pw@example.com"}, "url"),
        ({"url": "https://example.com:99999"}, "url"),
        ({"url": "https://exa mple.com"}, "url"),
        ({"url": "https://[::1"}, "url"),
        ({"personas": ["nobody"]}, "personas"),
        ({"settings": {"batch": 0}}, "settings"),
        ({"settings": {"batch": 101}}, "settings"),
        ({"settings": {"color": 1}}, "settings"),
        ({"kind": "amplitude"}, "secret"),
        ({"name": " "}, "name"),
    ],
)
def test_what_cannot_be_is_refused_and_the_field_named(api: Api, shop: Project, body: Any, field: str) -> None:
    whole = {"kind": "webhook", "name": "crm", "url": "" if "kind" in body else "https://example.com/", **body}
    status, problem = api.ask("POST", "destinations", whole)
    assert (status, problem["code"], problem["field"]) == (400, "destination.invalid", field)


def test_a_project_has_not_any_number_of_them(api: Api, shop: Project, settings: Settings) -> None:
    settings.PERSONA_PROJECT_DESTINATIONS = 1
    made(api, "https://example.com/")
    status, problem = api.ask("POST", "destinations", {"kind": "webhook", "name": "b", "url": "https://example.com/"})
    assert (status, problem["code"]) == (409, "destination.too_many")


def test_nobody_overwrites_what_they_have_not_seen(api: Api, shop: Project) -> None:
    hook = made(api, "https://example.com/")
    address = api.root + f"destinations/{hook['id']}"
    seen = api.client.get(address)["ETag"]
    edit: Any = {"content_type": "application/json"}
    first = api.client.patch(address, {"name": "a"}, headers={"if-match": seen}, **edit)
    assert first.status_code == 200
    second = api.client.patch(address, {"name": "b"}, headers={"if-match": seen}, **edit)
    assert (second.status_code, second.json()["code"]) == (412, "precondition.failed")
    assert second["ETag"] == first["ETag"]
    assert api.client.patch(address, {"name": "b"}, headers={"if-match": first["ETag"]}, **edit).status_code == 200


PATHS = [
    ("GET", "destinations"), ("POST", "destinations"), ("GET", "destinations/{d}"), ("PATCH", "destinations/{d}"),
    ("DELETE", "destinations/{d}"), ("POST", "destinations/{d}/rotate"), ("POST", "destinations/{d}/pause"),
    ("POST", "destinations/{d}/resume"), ("POST", "destinations/{d}/ping"), ("POST", "destinations/{d}/redeliver"),
    ("GET", "deliveries"), ("GET", "deliveries/1"), ("POST", "deliveries/1/redeliver"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_outsiders_get_the_answer_of_what_does_not_exist(
    api: Api, shop: Project, other_project: Project, charlie: User, method: str, path: str
) -> None:
    path = path.format(d=made(api, "https://example.com/")["id"])
    _, key = issue_key(project=other_project, kind="sk", name="his", actor=charlie)
    for outsider, stranger in (
        (Api(shop.slug, key), Api("no-such-project", key)),
        (Api(shop.slug, user=charlie), Api("no-such-project", user=charlie)),
    ):
        assert outsider.ask(method, path) == stranger.ask(method, path)
        assert outsider.ask(method, path)[0] == 404
    inside = Api(other_project.slug, key)
    if path not in ("destinations", "deliveries"):
        assert inside.ask(method, path, {"first": 1, "last": 1} if path.endswith("redeliver") else None)[0] == 404


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_key_needs_the_scope(api: Api, shop: Project, alice: User, method: str, path: str) -> None:
    path = path.format(d=made(api, "https://example.com/")["id"])
    _, reader = issue_key(project=shop, kind="sk", name="r", actor=alice, scopes=["destinations:read"])
    _, other = issue_key(project=shop, kind="sk", name="o", actor=alice, scopes=["personas:write"])
    assert Api(shop.slug, other).ask(method, path)[1]["code"] == "auth.scope_missing"
    status, problem = Api(shop.slug, reader).ask(method, path)
    assert (status == 403) is (method != "GET"), problem
