"""Destinations on their pages: made, tested, changed, paused, rotated, sent again; every delivery with its tries."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from delivery.models import BY_HAND, Attempt, Cursor, Destination
from delivery.pages.lines import PAGE
from delivery.sending import turn
from delivery.sending.settle import pause
from keys.models import AuditEntry, Member, Project
from tests.delivery.conftest import deliver, visit, webhook
from tests.delivery.receiver import Receiver, answer, receiver, reset
from tests.pages import forms
from tests.segments.living import persona, viewed

pytestmark = pytest.mark.django_db

LIST = "/projects/shop/destinations/"
NEW = "/projects/shop/new-destination/"
PAGES = ["", "edit/", "rotate/", "ping/", "redeliver/", "pause/", "resume/", "delete/"]


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


@pytest.fixture
def inbox(settings: Settings) -> Iterator[Receiver]:
    """A receiver on this machine, which destinations may lead to."""
    settings.PERSONA_ALLOW_PRIVATE_DESTINATIONS = True
    with receiver() as one:
        yield one


@pytest.fixture
def hook(project: Project, inbox: Receiver, alice: User) -> Destination:
    persona(project, "seen", viewed(1))
    return webhook(project, inbox.url, alice)


def text_of(client: Client, address: str, status: int = 200) -> str:
    found = client.get(address, follow=True)
    assert found.status_code == status
    return html.unescape(found.content.decode())


def secret_in(page: Any) -> str:
    found = re.search(r'<code id="secret">(.+?)</code>', page.content.decode())
    assert found, page.content.decode()
    return found[1]


def page_of(destination: Destination, name: str = "") -> str:
    return f"{LIST}{destination.public_id}/{name}"


def test_an_empty_list_says_what_to_do(project: Project, as_bob: Client) -> None:
    page = text_of(as_bob, LIST)
    assert "Nobody is told yet" in page
    assert NEW in page


def test_a_webhook_is_made_and_its_secret_shown_once(project: Project, inbox: Receiver, as_bob: Client) -> None:
    persona(project, "seen", viewed(1))
    made = as_bob.post(NEW, {"kind": "webhook", "name": "CRM", "url": inbox.url, "personas": ["seen"], "op": "enter"})
    secret = secret_in(made)
    assert secret.startswith("whsec_")
    assert "no-store" in made["Cache-Control"]
    found = Destination.objects.get(project=project)
    assert (found.name, found.personas, found.ops) == ("CRM", ["seen"], ["enter"])
    visit(project, "ann")
    deliver(found)
    assert [one["persona"] for one in inbox.messages] == ["seen"]
    page = text_of(as_bob, LIST)
    assert "enters of seen" in page
    assert secret not in page + text_of(as_bob, page_of(found)) + text_of(as_bob, page_of(found, "edit/"))
    assert AuditEntry.objects.get(action="destination.created").actor == "bob"


def test_an_analytics_product_is_made_and_its_key_never_shown(project: Project, as_bob: Client) -> None:
    given = {"kind": "amplitude", "name": "Amplitude", "secret": "very-secret", "personas": ["ignored"], "batch": "500"}
    as_bob.post(NEW, {**given, "personas": []})
    found = Destination.objects.get(project=project)
    assert (found.kind, found.settings, found.personas) == ("amplitude", {"batch": 500}, [])
    page = text_of(as_bob, page_of(found)) + text_of(as_bob, page_of(found, "edit/"))
    assert "very-secret" not in page
    assert "Send a test" not in page
    sealed = found.secret
    edited = forms.fields(as_bob.get(page_of(found, "edit/")).content.decode())
    as_bob.post(page_of(found, "edit/"), {**edited, "name": "Amplitude EU"})
    found.refresh_from_db()
    assert (found.name, found.secret) == ("Amplitude EU", sealed)
    assert as_bob.get(page_of(found, "rotate/"))["Location"] == page_of(found, "edit/")


@pytest.mark.parametrize(
    ("given", "said", "place"),
    [
        ({"name": ""}, "Say what it is", "id_name-wrong"),
        ({"url": ""}, "A webhook needs the address", "id_url-wrong"),
        ({"url": "ftp://crm.example/"}, "", "id_url-wrong"),
        ({"kind": "mixpanel", "url": ""}, "The API key or project token", "id_secret-wrong"),
        ({"batch": "101"}, "At most 100", "id_batch-wrong"),
        ({"batch": "many"}, "A whole number", "id_batch-wrong"),
    ],
)
def test_a_wrong_form_says_so_beside_the_field(
    given: dict[str, str], said: str, place: str, project: Project, as_bob: Client
) -> None:
    usual = {"kind": "webhook", "name": "CRM", "url": "https://crm.example/hook"}
    refused = as_bob.post(NEW, usual | given)
    assert refused.status_code == 422
    page = html.unescape(refused.content.decode())
    assert said in page
    assert f'id="{place}"' in page
    assert not Destination.objects.exists()


def test_a_test_shows_what_was_answered(hook: Destination, inbox: Receiver, as_bob: Client) -> None:
    inbox.reply = answer(200, b"<thanks>")
    page = as_bob.post(page_of(hook, "ping/")).content.decode()
    assert "&lt;thanks&gt;" in page
    assert ">200<" in page
    inbox.reply = reset
    assert "did not take it" in as_bob.post(page_of(hook, "ping/")).content.decode()
    assert [one["type"] for one in inbox.messages] == ["ping", "ping"]


def test_the_log_shows_each_delivery_with_its_tries(hook: Destination, inbox: Receiver, as_bob: Client) -> None:
    inbox.reply = answer(503, b"<busy>")
    visit(hook.project, "ann")
    turn.deliver_some()
    inbox.reply = answer(200)
    deliver(hook)
    log = text_of(as_bob, page_of(hook))
    assert "seen" in log
    assert "delivered" in log
    (found,) = Attempt.objects.filter(project=hook.project)
    assert f"/deliveries/{found.pk}/" in log
    page = text_of(as_bob, f"/projects/shop/deliveries/{found.pk}/")
    assert '"previous_seq": null' in page
    assert "<busy>" in page
    assert "It answered 503." in page
    assert "No such delivery" in text_of(as_bob, f"{page_of(hook)}?status=dead")
    assert "No such delivery" not in text_of(as_bob, f"{page_of(hook)}?status=delivered")
    assert "0.0 %" in text_of(as_bob, LIST)


def test_the_log_is_read_page_by_page(hook: Destination, inbox: Receiver, as_bob: Client) -> None:
    visit(hook.project, *(f"u-{number}" for number in range(2 * PAGE + 1)))
    deliver(hook)
    seen, address = [], page_of(hook)
    while address:
        page = text_of(as_bob, address)
        seen += re.findall(r'href="/projects/shop/deliveries/(\d+)/"', page)
        following = re.search(r'href="(\?before=[0-9-]+)">Earlier', page)
        address = f"{page_of(hook)}{following[1]}" if following else ""
    assert seen == sorted({str(one.pk) for one in Attempt.objects.all()}, key=int, reverse=True)
    assert len(seen) == 2 * PAGE + 1


def test_deliveries_are_sent_again(hook: Destination, inbox: Receiver, as_bob: Client) -> None:
    visit(hook.project, "ann")
    deliver(hook)
    (found,) = Attempt.objects.filter(project=hook.project)
    again = as_bob.post(f"/projects/shop/deliveries/{found.pk}/redeliver/", follow=True)
    assert "It is sent again now" in again.content.decode()
    assert "waits to be sent anyway" in text_after(as_bob, f"/projects/shop/deliveries/{found.pk}/redeliver/")
    deliver(hook)
    assert "1 delivery is sent again" in text_after(as_bob, page_of(hook, "redeliver/"), first="1", last="1")
    deliver(hook)
    assert [one["seq"] for one in inbox.messages] == [1, 1, 1]
    wrong = as_bob.post(page_of(hook, "redeliver/"), {"first": "2", "last": "1"})
    assert wrong.status_code == 422
    assert "id_last-wrong" in wrong.content.decode()


def text_after(client: Client, address: str, **given: str) -> str:
    return html.unescape(client.post(address, given, follow=True).content.decode())


def test_pause_and_resume_say_what_waits(hook: Destination, inbox: Receiver, as_bob: Client) -> None:
    assert "is paused" in text_after(as_bob, page_of(hook, "pause/"))
    hook.refresh_from_db()
    assert (hook.status, hook.paused_because) == ("paused", BY_HAND)
    visit(hook.project, "ann")
    assert "<strong>1</strong> waits and is sent at once" in text_of(as_bob, page_of(hook, "resume/"))
    assert "has paused itself" not in text_of(as_bob, LIST)
    text_after(as_bob, page_of(hook, "resume/"))
    deliver(hook)
    assert len(inbox.messages) == 1


def test_what_paused_itself_stands_on_top_with_the_reason(hook: Destination, as_bob: Client) -> None:
    pause(hook, "The receiver answered 410 Gone: it wants no more.")
    for address in (LIST, page_of(hook)):
        page = text_of(as_bob, address)
        assert "has paused itself" in page
        assert "410 Gone" in page


def test_a_secret_is_rotated_and_shown_once(hook: Destination, as_bob: Client) -> None:
    secret = secret_in(as_bob.post(page_of(hook, "rotate/"), {"grace": "1h"}))
    hook.refresh_from_db()
    assert hook.former_until is not None
    assert secret not in text_of(as_bob, page_of(hook))
    assert AuditEntry.objects.get(action="destination.rotated").detail == {"grace_seconds": 3_600}
    assert as_bob.post(page_of(hook, "rotate/"), {"grace": "1y"}).status_code == 422


def test_nobody_overwrites_what_they_have_not_seen(hook: Destination, as_alice: Client, as_bob: Client) -> None:
    mine, theirs = (forms.fields(one.get(page_of(hook, "edit/")).content.decode()) for one in (as_alice, as_bob))
    assert as_alice.post(page_of(hook, "edit/"), {**mine, "name": "Alice's"}).status_code == 302
    refused = as_bob.post(page_of(hook, "edit/"), {**theirs, "name": "Bob's"})
    assert refused.status_code == 422
    assert "Somebody saved something else" in refused.content.decode()
    assert "Bob&#x27;s" in refused.content.decode()


def test_it_is_deleted_with_its_deliveries(hook: Destination, as_bob: Client) -> None:
    visit(hook.project, "ann")
    deliver(hook)
    assert "is deleted" in text_after(as_bob, page_of(hook, "delete/"))
    assert [kept.objects.count() for kept in (Destination, Attempt, Cursor)] == [0, 0, 0]


def test_a_viewer_sees_everything_and_changes_nothing(hook: Destination, bob: User, as_bob: Client) -> None:
    visit(hook.project, "ann")
    deliver(hook)
    Member.objects.filter(user=bob).update(role=Member.Role.VIEWER)
    (found,) = Attempt.objects.filter(project=hook.project)
    for address in (LIST, page_of(hook), f"/projects/shop/deliveries/{found.pk}/"):
        page = text_of(as_bob, address).partition('id="main"')[2]
        assert "<form" not in page
        assert "edit/" not in page
    changing = [*(page_of(hook, name) for name in PAGES[1:]), NEW, f"/projects/shop/deliveries/{found.pk}/redeliver/"]
    assert {address: as_bob.post(address).status_code for address in changing} == dict.fromkeys(changing, 403)


def test_for_charlie_there_is_nothing(
    hook: Destination, other_project: Project, as_charlie: Client, as_alice: Client
) -> None:
    visit(hook.project, "ann")
    deliver(hook)
    (found,) = Attempt.objects.filter(project=hook.project)
    places = ["destinations/", "new-destination/", f"deliveries/{found.pk}/", f"deliveries/{found.pk}/redeliver/"]
    for place in [*places, *(f"destinations/{hook.public_id}/{name}" for name in PAGES)]:
        hidden, missing = (as_charlie.get(f"/projects/{slug}/{place}") for slug in ("shop", "no-such"))
        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content
        if place not in places[:2]:
            assert as_charlie.get(f"/projects/elsewhere/{place}").status_code == 404
            assert as_charlie.post(f"/projects/elsewhere/{place}").status_code in (404, 405)
