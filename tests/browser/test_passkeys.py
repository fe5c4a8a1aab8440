"""Passkeys in a real browser with an authenticator of its own: added, asked for second, enough alone, removed."""

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.cache import cache

from tests.browser.chromium import Chromium

pytestmark = pytest.mark.django_db(transaction=True)

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
GO = "document.getElementById('passkey-go').click()"


@pytest.fixture
def page(live_server: Any, chromium: Chromium, bob: User) -> Iterator[Chromium]:
    cache.clear()
    chromium.faults.clear()
    chromium.call("Network.clearBrowserCookies")
    chromium.call("WebAuthn.enable")
    device = chromium.call("WebAuthn.addVirtualAuthenticator", options=DEVICE)["authenticatorId"]
    yield chromium
    chromium.call("WebAuthn.removeVirtualAuthenticator", authenticatorId=device)
    chromium.call("Page.navigate", url="about:blank")


def arrive(page: Chromium, path: str) -> None:
    there = f"location.pathname === {path!r} && document.readyState === 'complete'"
    page.wait(lambda: page.run(there), f"{path}, but at {page.run('location.href')}")


def fill(page: Chromium, **values: str) -> None:
    """Writes into fields of the first form that has them, and sends it."""
    for name, value in values.items():
        page.run(f"document.getElementById('id_{name}').value = {value!r}")
    page.run(f"document.getElementById('id_{name}').form.submit()")


def sign_out(page: Chromium) -> None:
    page.run("document.querySelector('.side-foot form').submit()")
    arrive(page, "/signin/")


def test_the_life_of_a_passkey(page: Chromium, live_server: Any, bob: User) -> None:
    page.open(f"{live_server.url}/signin/?next=/account/passkeys/add/")
    fill(page, username="bob", password="bob-password")
    arrive(page, "/account/confirm/")
    fill(page, password="bob-password")
    arrive(page, "/account/passkeys/add/")
    page.run(GO)
    arrive(page, "/account/recovery-codes/")
    assert sorted(Authenticator.objects.filter(user=bob).values_list("type", flat=True)) == [
        "recovery_codes",
        "webauthn",
    ]
    sign_out(page)

    page.open(f"{live_server.url}/signin/?next=/account/sessions/")  # alone
    page.run(GO)
    arrive(page, "/account/sessions/")
    sign_out(page)

    page.open(f"{live_server.url}/signin/?next=/account/")  # as the second factor
    fill(page, username="bob", password="bob-password")
    arrive(page, "/account/login/code/")
    page.run(GO)
    arrive(page, "/account/")

    page.open(f"{live_server.url}/account/passkeys/add/")  # the device knows that it holds one
    fill(page, password="bob-password")
    arrive(page, "/account/passkeys/add/")
    page.run(GO)
    wrong = "document.getElementById('passkey-wrong').textContent"
    page.wait(lambda: page.run(wrong) != "", "a word about it")
    assert "holds a passkey of yours already" in page.run(wrong)

    passkey = Authenticator.objects.get(user=bob, type="webauthn").pk
    page.open(f"{live_server.url}/account/passkeys/{passkey}/remove/")
    page.run("document.querySelector('main form').submit()")
    arrive(page, "/account/")
    assert not Authenticator.objects.filter(user=bob).exists()
    assert page.faults == []


def test_another_s_device_is_refused(page: Chromium, live_server: Any, bob: User) -> None:
    """The browser has no passkey of this address: nobody is signed in, and the page says why."""
    page.open(f"{live_server.url}/signin/")
    page.run(GO)
    page.wait(lambda: page.run("!document.getElementById('passkey-wrong').hidden"), "a word about it")
    assert "Nothing was confirmed" in page.run("document.getElementById('passkey-wrong').textContent")
    assert page.run("location.pathname") == "/signin/"
