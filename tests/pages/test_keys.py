"""The pages of keys: made, shown once, used, rotated with both halves working, revoked and refused."""

import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from ingestion import tasks
from keys.auth import ring
from keys.models import ApiKey, AuditEntry, KeySighting, KeyUse, Member, Project
from keys.services import issue_key
from tests.pages import rows
from tests.waiting import until

pytestmark = pytest.mark.django_db

PAGES = ["/projects/{}/keys/", "/projects/{}/keys/new/"]
KEY_PAGES = ["/projects/{}/keys/{}/", "/projects/{}/keys/{}/rotate/", "/projects/{}/keys/{}/revoke/"]


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


@pytest.fixture
def key(shop: Project, alice: User) -> ApiKey:
    return issue_key(project=shop, kind="pk", name="Web shop", actor=alice)[0]


def secret_in(page: Any) -> str:
    found = re.search(r'<code id="secret">(.+?)</code>', page.content.decode())
    assert found, page.content.decode()
    return html.unescape(found[1])


def ingest(client: Client, secret: str, events: int = 1) -> int:
    batch = [{"type": "track", "event": "page_viewed", "userId": "u-1"}] * events
    headers = {"authorization": f"Bearer {secret}", "host": "localhost"}
    sent = client.post("/api/v2/pipeline/ingest", {"batch": batch}, "application/json", headers=headers)
    assert sent.status_code in (202, 401), sent.content
    return sent.status_code


@pytest.mark.django_db(transaction=True)
def test_a_key_is_made_shown_once_and_works(shop: Project, as_bob: Client, client: Client) -> None:
    form = {"kind": "pk", "name": "Web shop", "origins": "https://shop.example\nhttps://www.shop.example"}
    shown = as_bob.post("/projects/shop/keys/new/", form)
    secret = secret_in(shown)
    assert secret.startswith("pk_live_")
    assert "no-store" in shown["Cache-Control"]
    key = ApiKey.objects.get(project=shop)
    assert key.origins == ["https://shop.example", "https://www.shop.example"]
    assert key.created_by and key.created_by.username == "bob"  # noqa: PT018 - one fact
    assert ingest(client, secret) == 202
    later = as_bob.get("/projects/shop/keys/").content.decode()
    assert "Web shop" in later
    assert secret not in later
    entry = AuditEntry.objects.get(action="key.issued")
    assert (entry.actor, entry.address) == ("bob", "127.0.0.1")


def test_a_secret_key_has_the_scopes_that_were_chosen(shop: Project, as_bob: Client) -> None:
    as_bob.post(
        "/projects/shop/keys/new/", {"kind": "sk", "name": "Orders", "scopes": ["events:write"], "origins": "x"}
    )
    key = ApiKey.objects.get(project=shop)
    assert (key.kind, key.scopes, key.origins) == ("sk", ["events:write"], [])


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"kind": "pk", "name": ""}, "Say what the key is for"),
        ({"kind": "pk", "name": "Web", "origins": "shop.example"}, "is not an origin such as"),
        ({"kind": "sk", "name": "Web", "scopes": ["everything"]}, "everything is not one of the available choices"),
    ],
)
def test_a_wrong_form_says_so_beside_the_field(form: dict[str, Any], said: str, shop: Project, as_bob: Client) -> None:
    answer = as_bob.post("/projects/shop/keys/new/", form)
    assert answer.status_code == 422
    assert said in html.unescape(answer.content.decode())
    assert not ApiKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_after_a_rotation_both_keys_work_until_the_grace_ends(shop: Project, as_bob: Client, client: Client) -> None:
    old = secret_in(as_bob.post("/projects/shop/keys/new/", {"kind": "sk", "name": "Orders"}))
    lookup = ApiKey.objects.get().lookup
    new = secret_in(as_bob.post(f"/projects/shop/keys/{lookup}/rotate/", {"grace": "24h"}))
    assert new != old
    assert [ingest(client, secret) for secret in (old, new)] == [202, 202]
    assert "rotating" in as_bob.get("/projects/shop/keys/").content.decode()
    again = as_bob.post(f"/projects/shop/keys/{lookup}/rotate/", {"grace": "24h"})
    assert again.status_code == 422
    assert "already rotated" in again.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_rotation_can_stop_the_old_key_now(shop: Project, as_bob: Client, client: Client) -> None:
    old = secret_in(as_bob.post("/projects/shop/keys/new/", {"kind": "sk", "name": "Orders"}))
    new = secret_in(as_bob.post(f"/projects/shop/keys/{ApiKey.objects.get().lookup}/rotate/", {"grace": "now"}))
    assert [ingest(client, secret) for secret in (old, new)] == [401, 202]


@pytest.mark.django_db(transaction=True)
def test_a_revoked_key_is_refused(shop: Project, as_bob: Client, client: Client) -> None:
    secret = secret_in(as_bob.post("/projects/shop/keys/new/", {"kind": "sk", "name": "Orders"}))
    lookup = ApiKey.objects.get().lookup
    assert "has never been used" in as_bob.get(f"/projects/shop/keys/{lookup}/revoke/").content.decode()
    assert ingest(client, secret) == 202
    answer = as_bob.post(f"/projects/shop/keys/{lookup}/revoke/", follow=True)
    assert "is revoked" in answer.content.decode()
    assert ingest(client, secret) == 401


@pytest.mark.django_db(transaction=True)
def test_the_traffic_of_a_key_is_shown(shop: Project, as_bob: Client, client: Client) -> None:
    secret = secret_in(as_bob.post("/projects/shop/keys/new/", {"kind": "sk", "name": "Orders"}))
    ring.close()  # its thread must see what this test has committed
    assert ingest(client, secret, events=3) == 202
    assert tasks.apply_some() == 1
    assert [(use.events, use.key_id) for use in KeyUse.objects.all()] == [(3, ApiKey.objects.get().pk)]
    page = as_bob.get("/projects/shop/keys/").content.decode()
    assert re.search(r'data-label="Count">\s*3<', page)
    revoke = as_bob.get(f"/projects/shop/keys/{ApiKey.objects.get().lookup}/revoke/").content.decode()
    assert "It sent 3 events in the last 24 hours" in revoke


def test_who_revokes_a_key_is_told_what_used_it_last(shop: Project, as_bob: Client, client: Client) -> None:
    """Also of a key that only reads."""
    secret = secret_in(as_bob.post("/projects/shop/keys/new/", {"kind": "sk", "name": "Orders"}))
    ring.close()  # its thread must see what this test has committed
    headers = {"authorization": f"Bearer {secret}", "host": "localhost", "user-agent": "orders/1.0 <b>"}
    assert client.get("/api/projects/shop/personas", headers=headers).status_code == 200
    found = until(
        lambda: KeySighting.objects.filter(project_id=shop.pk).values_list("way", "used_by").first(), "the sighting"
    )
    assert found == ("api", "orders/1.0 <b>")
    assert "called the API" in as_bob.get("/projects/shop/keys/").content.decode()
    revoke = as_bob.get(f"/projects/shop/keys/{ApiKey.objects.get().lookup}/revoke/").content.decode()
    assert "<code>orders/1.0 &lt;b&gt;</code>" in revoke


def test_a_key_older_than_ninety_days_is_mentioned(key: ApiKey, as_bob: Client) -> None:
    assert "Rotating a key every 90 days" not in as_bob.get("/projects/shop/keys/").content.decode()
    rows.run("update keys_apikey set created_at = created_at - interval '91 days'")
    assert "Rotating a key every 90 days" in as_bob.get("/projects/shop/keys/").content.decode()


def test_name_and_origins_can_change(key: ApiKey, as_bob: Client) -> None:
    form = {"name": "Web", "origins": "https://shop.example"}
    as_bob.post(f"/projects/shop/keys/{key.lookup}/", form)
    key.refresh_from_db()
    assert (key.name, key.origins) == ("Web", ["https://shop.example"])


def test_a_viewer_sees_the_keys_and_changes_none(key: ApiKey, bob: User, as_bob: Client) -> None:
    Member.objects.filter(user=bob).update(role=Member.Role.VIEWER)
    assert "New key" not in as_bob.get("/projects/shop/keys/").content.decode()
    assert as_bob.post("/projects/shop/keys/new/", {"kind": "sk", "name": "Mine"}).status_code == 403
    for page in KEY_PAGES:
        assert as_bob.post(page.format("shop", key.lookup), {"name": "x", "grace": "now"}).status_code == 403
    key.refresh_from_db()
    assert (ApiKey.objects.count(), key.revoked_at, key.name) == (1, None, "Web shop")


@pytest.mark.parametrize("method", ["get", "post"])
def test_for_charlie_there_is_nothing(method: str, key: ApiKey, as_charlie: Client) -> None:
    for page in [*PAGES, *KEY_PAGES]:
        ask = getattr(as_charlie, method)
        hidden, missing = ask(page.format("shop", key.lookup)), ask(page.format("no-such", key.lookup))
        if method == "post" and page == PAGES[0]:
            assert hidden.status_code == missing.status_code == 405
        else:
            assert hidden.status_code == missing.status_code == 404
            assert hidden.content == missing.content


def test_a_key_of_another_project_is_not_found(key: ApiKey, other_project: Project, as_charlie: Client) -> None:
    for page in KEY_PAGES:
        assert as_charlie.post(page.format("elsewhere", key.lookup), {"grace": "now"}).status_code == 404


def test_deeds_are_paced(shop: Project, as_bob: Client) -> None:
    form = {"kind": "sk", "name": ""}
    answers = [as_bob.post("/projects/shop/keys/new/", form).status_code for _ in range(32)]
    assert answers == [422] * 30 + [429] * 2
