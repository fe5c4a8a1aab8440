"""The quickstart page in a real browser: a key made by a press or pasted, and the first event arrives.

Each test has a browser of its own: an answer that comes late says that its session is over, and takes the cookie of the
next one with it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from keys import services
from keys.models import ApiKey, Project
from tests.browser.chromium import Chromium
from tests.segments import living

pytestmark = pytest.mark.django_db(transaction=True)

STATE = "document.querySelector('[data-state]').textContent"
KEY = "document.querySelector('[data-key-shown]')?.textContent ?? ''"
ROWS = "document.querySelector('[data-quickstart] tbody').innerText"
SEND = "document.querySelector('[data-send]').click(), null"
PASTE = "(box => { box.value = %r; box.dispatchEvent(new Event('input')); })(document.querySelector('[data-key]'))"


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Chromium]:
    browser = Chromium(tmp_path)
    yield browser
    browser.close()


@pytest.fixture
def page(live_server: Any, chromium: Chromium, project: Project, bob: User) -> Iterator[Chromium]:
    """Bob has opened the quickstart of the shop."""
    client = Client()
    client.force_login(bob)
    chromium.call("Network.setCookie", name="sessionid", value=client.cookies["sessionid"].value, url=live_server.url)
    chromium.open(f"{live_server.url}/quickstart")
    yield chromium
    chromium.call("Page.navigate", url="about:blank")  # it asks no more once the server's database is emptied


def arrives(page: Chromium) -> None:
    """What the page sends is applied, and the page shows it."""
    page.run(SEND)

    def arrived() -> bool:
        living.settle()
        return bool(page.run(STATE) == "Arrived")

    page.wait(arrived, "the first event")
    assert "page_viewed" in page.run(ROWS)
    assert page.faults == []


def test_a_press_makes_a_key_that_is_filled_in_once(page: Chromium, project: Project) -> None:
    page.run("document.querySelector('main form').submit(), null")
    page.wait(lambda: page.run(KEY).startswith("pk_live_"), "the key")
    page.wait(lambda: page.run("document.readyState") == "complete", "the page")
    arrives(page)
    (key,) = ApiKey.objects.filter(project=project)
    assert key.kind == ApiKey.Kind.PUBLISHABLE
    page.open(page.run("location.href"))
    assert "pk_" not in page.run(KEY)


def test_a_key_that_one_has_can_be_pasted(page: Chromium, project: Project, alice: User) -> None:
    page.run(SEND)
    assert page.run(STATE) == "A publishable key is needed first: it begins with pk_"
    _, secret = services.issue_key(project=project, kind=ApiKey.Kind.PUBLISHABLE, name="ours", actor=alice)
    page.run(PASTE % f" {secret} ")
    assert page.run(KEY) == secret
    arrives(page)


def test_who_is_signed_out_is_asked_to_sign_in(page: Chromium) -> None:
    Session.objects.all().delete()
    page.wait(lambda: page.run("location.pathname") == "/signin/", "the page to sign in")
