"""Every page of the product, on a desk and on a phone, light and dark: usable by everybody, and from here alone."""

import json
from typing import Any

import pytest

from tests.browser.looks import DESK, PHONE, faults, faults_of_what_is_open, look
from tests.browser.person import Person
from tests.browser.shop import SLUG, Shop, addresses, lacking

PROJECT = f"/projects/{SLUG}"
LINKS = "[...document.querySelectorAll('main a')].map((one) => one.getAttribute('href'))"
# The same template as another page.
TWINS = {"persona-pause", "persona-resume", "destination-pause", "destination-resume"}


@pytest.fixture(scope="module")
def known(shop: Shop, alice: Person) -> dict[str, Any]:
    """With somebody invited, and the numbers that only pages tell."""
    alice.go(f"{PROJECT}/people/invite/")
    alice.fill(email="dora@harbour-pine.example")
    alice.press("Make the link")
    link = alice.find("#secret").removeprefix(alice.url)
    alice.go(f"{PROJECT}/people/")
    found = [address.rstrip("/").split("/") for address in alice.chromium.run(LINKS) if "/people/" in address]
    withdraw = next(int(parts[-2]) for parts in found if parts[-1] == "withdraw")
    member = next(int(parts[-1]) for parts in found if parts[-1].isdigit())
    return {**shop.known, "pk": member, "invitation-withdraw.pk": withdraw, "link": link}


def test_signing_in(visitor: Person) -> None:
    assert faults(visitor, "/signin/") == []
    visitor.chromium.run("document.querySelector('#id_username').value = 'nobody', null")
    visitor.chromium.run("document.querySelector('#id_password').value = 'nothing', null")
    visitor.press("Sign in")
    visitor.reads("do not match")
    assert faults_of_what_is_open(visitor) == []


def test_no_page_is_forgotten(known: dict[str, Any]) -> None:
    assert lacking(known) == set()


def test_every_page(alice: Person, known: dict[str, Any]) -> None:
    pages = {**addresses(known), "invitation": known["link"], "missing": "/no-such-page"}
    found = {name: faults(alice, path) for name, path in pages.items() if name not in TWINS}
    assert len(found) > 40
    wrong = {name: faults for name, faults in found.items() if faults}
    assert not wrong, json.dumps(wrong, indent=2)


@pytest.mark.parametrize(
    ("page", "fields", "button", "words"),
    [
        ("/keys/new/", {"name": "Web"}, "Make the key", "Copy it now"),
        ("/keys/new/", {"name": ""}, "Make the key", "Say what the key is for"),
        ("/new-destination/", {"name": "CRM", "url": "https://crm.example/"}, "Make the destination", "Copy it now"),
        ("/new-destination/", {"name": ""}, "Make the destination", "Say what it is"),
        ("/new-persona/", {"slug": "", "r.0.event": ""}, "Save version 1", "One condition needs a change"),
    ],
)
def test_what_comes_of_a_form(page: str, fields: dict[str, str], button: str, words: str, alice: Person) -> None:
    look(alice.chromium, width=DESK)
    alice.go(PROJECT + page)
    alice.fill(**fields)
    alice.press(button)
    alice.reads(words)
    assert faults_of_what_is_open(alice) == []


def test_the_menu_of_a_phone(alice: Person) -> None:
    look(alice.chromium, width=PHONE)
    alice.go(f"{PROJECT}/")
    for opens in (".menu", ".switch"):
        alice.chromium.run(f"document.querySelector('{opens}').click()")
    assert alice.chromium.run("document.querySelectorAll(':popover-open').length") == 2
    assert faults_of_what_is_open(alice) == []
