"""Every page of the product, on a desk and on a phone, light and dark: usable by everybody, and from here alone."""

import json
from typing import Any

import pytest

from tests.browser.looks import DESK, PHONE, faults, faults_of_what_is_open, look
from tests.browser.person import Person
from tests.browser.shop import SLIGHT, SLUG, Shop, addresses, lacking
from tests.effort import THOROUGH

PROJECT = f"/projects/{SLUG}"
LINKS = "[...document.querySelectorAll('main a')].map((one) => one.getAttribute('href'))"


@pytest.fixture(scope="module")
def known(shop: Shop, operator: Person) -> dict[str, Any]:
    """With somebody invited, the numbers that only pages tell, and the password confirmed a moment ago."""
    operator.go("/account/confirm/")
    operator.fill(password=shop.stack.running.admin_password)
    operator.press("Confirm")
    operator.go(f"{PROJECT}/people/invite/")
    operator.fill(email="dora@harbour-pine.example")
    operator.press("Make the link")
    link = operator.find("#secret").removeprefix(operator.url)
    operator.go(f"{PROJECT}/people/")
    found = [address.rstrip("/").split("/") for address in operator.chromium.run(LINKS) if "/people/" in address]
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


def test_every_page(operator: Person, known: dict[str, Any]) -> None:
    pages = {**addresses(known), "invitation": known["link"], "missing": "/no-such-page"}
    found = {name: faults(operator, path, both=THOROUGH and name not in SLIGHT) for name, path in pages.items()}
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
def test_what_comes_of_a_form(page: str, fields: dict[str, str], button: str, words: str, operator: Person) -> None:
    look(operator.chromium, width=DESK)
    operator.go(PROJECT + page)
    operator.fill(**fields)
    operator.press(button)
    operator.reads(words)
    assert faults_of_what_is_open(operator) == []


def test_the_menu_of_a_phone(operator: Person) -> None:
    look(operator.chromium, width=PHONE)
    operator.go(f"{PROJECT}/")
    for opens in (".menu", ".switch"):
        operator.chromium.run(f"document.querySelector('{opens}').click()")
    assert operator.chromium.run("document.querySelectorAll(':popover-open').length") == 2
    assert faults_of_what_is_open(operator) == []
