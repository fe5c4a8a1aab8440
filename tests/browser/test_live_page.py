"""The live page in a real browser, under its policy: rows arrive by themselves, pause, filter, and are only text."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import Project
from tests.browser.chromium import Chromium
from tests.pages import rows

UID = bytes(range(16))
STATE = "document.querySelector('.live-dot').textContent"
SHOWN = (
    "[...document.querySelectorAll('[data-live] tbody tr')].filter(r => !r.hidden).map(r => r.innerText).join('\\n')"
)


@pytest.mark.django_db(transaction=True)
def test_an_event_and_its_change_arrive(live_server: Any, chromium: Chromium, project: Project, bob: User) -> None:
    rows.make_lanes(project)
    profile, persona = rows.make_profile(project), rows.make_persona(project)
    client = Client()
    client.force_login(bob)
    chromium.call("Network.setCookie", name="sessionid", value=client.cookies["sessionid"].value, url=live_server.url)
    chromium.open(f"{live_server.url}/projects/shop/live/")
    chromium.wait(lambda: chromium.run(STATE) == "Live", "the first answer")

    attack = "<img src=x onerror=\"document.title = 'hacked'\">"
    rows.apply(project, rows.as_applied(UID.hex(), props={"note": attack}))
    chromium.wait(lambda: "product_viewed" in chromium.run(SHOWN), "the event")
    rows.change(persona, profile, trigger=UID)
    chromium.wait(lambda: "high_intent" in chromium.run(SHOWN), "the change beside its event")
    assert chromium.run("document.querySelectorAll('[data-live] tbody tr').length") == 1
    assert attack in chromium.run(SHOWN)

    chromium.press(" ")
    assert chromium.run(STATE) == "Paused"
    rows.change(persona, profile, op="leave")
    chromium.wait(lambda: chromium.run("document.querySelector('[data-more]').innerText") == "1 new", "the held row")
    assert "time passed" not in chromium.run(SHOWN)
    chromium.press(" ")
    assert "time passed" in chromium.run(SHOWN)

    chromium.press("/")
    for letter in "viewed":
        chromium.press(letter)
    assert "time passed" not in chromium.run(SHOWN)
    assert "product_viewed" in chromium.run(SHOWN)
    assert chromium.faults == []
