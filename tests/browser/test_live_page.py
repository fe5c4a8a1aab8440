"""The live page in a real browser, under its policy: rows arrive by themselves, pause, filter, and are only text."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import Project
from tests.browser.chromium import Chromium
from tests.ingestion import applying
from tests.pages import rows
from tests.segments import living

pytestmark = pytest.mark.django_db(transaction=True)

UNLIMITED = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
STATE = "document.querySelector('.live-dot').textContent"
SHOWN = (
    "[...document.querySelectorAll('[data-live] tbody tr')].filter(r => !r.hidden).map(r => r.innerText).join('\\n')"
)
ATTACK = "<img src=x onerror=\"document.title = 'hacked'\">"


@pytest.fixture
def page(live_server: Any, chromium: Chromium, project: Project, bob: User) -> Iterator[Chromium]:
    """Bob looks at the live page of the shop, which has one persona."""
    living.persona(project, "viewers", living.viewed(1, event="product_viewed"))
    client = Client()
    client.force_login(bob)
    chromium.call("Network.setCookie", name="sessionid", value=client.cookies["sessionid"].value, url=live_server.url)
    chromium.open(f"{live_server.url}/projects/shop/live/")
    chromium.wait(lambda: chromium.run(STATE) == "Live", "the first answer")
    yield chromium
    chromium.call("Emulation.setScriptExecutionDisabled", value=False)
    chromium.call("Network.emulateNetworkConditions", offline=False, **UNLIMITED)
    chromium.call("Page.navigate", url="about:blank")  # it asks no more once the server's database is emptied


def send(project: Project, event: str, user: str) -> None:
    applying.put(project, applying.track(event, userId=user, properties={"note": ATTACK}), received_at=rows.now())
    living.settle()


def test_an_event_and_its_change_arrive_as_text(page: Chromium, project: Project) -> None:
    send(project, "product_viewed", "u-1")
    page.wait(lambda: "viewers" in page.run(SHOWN), "the enter beside its event")
    assert "product_viewed" in page.run(SHOWN)
    assert ATTACK in page.run("document.querySelector('[data-live] tbody').textContent")
    assert page.run("document.querySelectorAll('[data-live] tbody tr').length") == 1
    assert page.faults == []


def test_a_change_that_comes_later_joins_its_event(page: Chromium, project: Project) -> None:
    profile, persona, uid = rows.make_profile(project), rows.make_persona(project), bytes(range(16))
    rows.apply(project, rows.as_applied(uid.hex()))
    page.wait(lambda: "product_viewed" in page.run(SHOWN), "the event")
    rows.change(persona, profile, trigger=uid)
    page.wait(lambda: "high_intent" in page.run(SHOWN), "the change beside its event")
    assert page.run("document.querySelectorAll('[data-live] tbody tr').length") == 1


def test_space_pauses_and_slash_filters(page: Chromium, project: Project) -> None:
    send(project, "page_viewed", "u-1")
    page.wait(lambda: "page_viewed" in page.run(SHOWN), "the first event")
    page.press(" ")
    assert page.run(STATE) == "Paused"
    send(project, "cart_added", "u-1")
    page.wait(lambda: page.run("document.querySelector('[data-more]').innerText") == "1 new", "the held row")
    assert "cart_added" not in page.run(SHOWN)
    page.press(" ")
    assert "cart_added" in page.run(SHOWN)
    page.press("/")
    for letter in "page":
        page.press(letter)
    assert "page_viewed" in page.run(SHOWN)
    assert "cart_added" not in page.run(SHOWN)


def test_the_dot_tells_when_the_server_is_away(page: Chromium, project: Project) -> None:
    page.call("Network.emulateNetworkConditions", offline=True, **UNLIMITED)
    page.wait(lambda: page.run(STATE) == "Reconnecting", "the first failure")
    page.call("Network.emulateNetworkConditions", offline=False, **UNLIMITED)
    send(project, "page_viewed", "u-1")
    page.wait(lambda: "page_viewed" in page.run(SHOWN), "what came meanwhile")
    assert page.run(STATE) == "Live"


def test_without_script_the_newest_rows_and_a_refresh_link_are_there(page: Chromium, project: Project) -> None:
    send(project, "product_viewed", "u-1")
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.call("Page.reload")
    scriptless = "document.readyState === 'complete' && !document.documentElement.classList.contains('js')"
    page.wait(lambda: page.run(f"document.documentElement !== null && {scriptless}") is True, "the page again")
    assert "product_viewed" in page.run(SHOWN)
    assert page.run("document.querySelector('.head a.btn').innerText") == "Refresh"
    assert page.run("getComputedStyle(document.querySelector('[data-pause]').closest('.needs-js')).display") == "none"
