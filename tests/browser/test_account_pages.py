"""The pages behind an invitation, a second factor or a mailed link: usable by everybody, and from here alone."""

import re
import time
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from persona.running.home import Running
from tests.browser.looks import faults, faults_of_what_is_open
from tests.browser.person import ARRIVED, Person
from tests.browser.shop import SLUG, Shop
from tests.browser.test_passkeys import DEVICE, GO

PASSWORD = "Tide-Table-9"
PERIOD = 30  # seconds that a code is shown
MADE = "location.pathname === '/account/recovery-codes/' && document.readyState === 'complete'"
PASSKEY = (
    "document.querySelector('main a[href^=\"/account/passkeys/\"][href$=\"/remove/\"]')?.getAttribute('href') ?? ''"
)

HER_ROW = "[...document.querySelectorAll('#result_list tr')].find((row) => row.innerText.includes('erin'))"
CHOSEN = f"""{HER_ROW}.querySelector('input').checked = true,
  document.querySelector('select[name=action]').value = "reset_link",
  document.querySelector('#changelist-form').submit()"""
SENT = "document.querySelector('main form [type=submit]').click()"


@pytest.fixture
def erin(operator: Person) -> Iterator[Person]:
    """Has just opened her invitation, on `localhost`, where the browser's authenticator works."""
    operator.go(f"/projects/{SLUG}/people/invite/")
    operator.press("Make the link")
    link = operator.find("#secret").removeprefix(operator.url)
    operator.chromium.call("Network.clearBrowserCookies")
    operator.chromium.call("WebAuthn.enable")
    device = operator.chromium.call("WebAuthn.addVirtualAuthenticator", options=DEVICE)["authenticatorId"]
    here = Person(operator.chromium, operator.url.replace("127.0.0.1", "localhost"))
    here.go(link)
    yield here
    operator.chromium.call("WebAuthn.removeVirtualAuthenticator", authenticatorId=device)


def code(secret: str) -> str:
    """What her app shows now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // PERIOD)))


def test_every_page_of_an_account(erin: Person, operator: Person, shop: Shop) -> None:
    found = {"invitation": faults(erin, "/invitation/")}
    found["invitation, refused"] = joined(erin)
    found["confirm, refused"] = confirmed(erin)
    found |= {path: faults(erin, path) for path in ("/account/authenticator/", "/account/passkeys/add/")}
    found["authenticator, refused"], kept = with_an_app(erin)
    found["recovery codes"] = faults_of_what_is_open(erin)
    found |= with_a_passkey(erin)
    found |= asked_again(erin)
    found |= signed_in_anew(erin, kept)
    found |= by_a_link(operator, shop.stack.running)
    assert not {page: wrong for page, wrong in found.items() if wrong}, found


def joined(erin: Person) -> list[str]:
    """By way of a password that is refused."""
    erin.fill(username="erin", password1=PASSWORD, password2="another")
    erin.press("Make an account and join")
    refused = faults_of_what_is_open(erin)
    erin.fill(password1=PASSWORD, password2=PASSWORD)
    erin.press("Make an account and join")
    assert erin.path == f"/projects/{SLUG}/"
    return refused


def confirmed(erin: Person) -> list[str]:
    """Her password is asked for before something of her account changes."""
    erin.go("/account/authenticator/")
    erin.fill(password="another")
    erin.press("Confirm")
    refused = faults_of_what_is_open(erin)
    erin.fill(password=PASSWORD)
    erin.press("Confirm")
    assert erin.path == "/account/authenticator/"
    return refused


def with_an_app(erin: Person) -> tuple[list[str], str]:
    """By way of a wrong code; also one of the codes for the day on which the phone is lost."""
    erin.go("/account/authenticator/")
    erin.fill(code="000000")
    erin.press("Switch it on")
    refused = faults_of_what_is_open(erin)
    erin.fill(code=code(erin.find("#secret")))
    erin.press("Switch it on")
    erin.chromium.wait(lambda: erin.chromium.run(MADE), "the recovery codes")
    found = re.search(r"^\S+$", erin.find("#codes"), re.MULTILINE)
    assert found, erin.text
    return refused, found[0]


def with_a_passkey(erin: Person) -> dict[str, list[str]]:
    erin.go("/account/passkeys/add/")
    erin.chromium.run(GO)
    erin.chromium.wait(lambda: bool(erin.chromium.run(PASSKEY)), "the passkey")
    remove = str(erin.chromium.run(PASSKEY))
    pages = ("/account/", remove, remove.removesuffix("remove/"), "/account/authenticator/remove/")
    return {path: faults(erin, path) for path in (*pages, "/account/recovery-codes/new/")}


def asked_again(erin: Person) -> dict[str, list[str]]:
    found = {}
    for way in ("", "code/", "passkey/"):
        found[f"confirm/{way}"] = faults(erin, f"/account/confirm/{way}")
        assert erin.path == f"/account/confirm/{way}"
    return found


def signed_in_anew(erin: Person, kept: str) -> dict[str, list[str]]:
    """With a recovery code, after one that is wrong."""
    erin.sign_in("erin", PASSWORD)
    assert erin.path == "/account/login/code/"
    found = {"code": faults_of_what_is_open(erin)}
    erin.fill(code="000000")
    erin.press("Sign in")
    found["code, refused"] = faults_of_what_is_open(erin)
    erin.fill(code=kept)
    erin.press("Sign in")
    assert erin.path == "/"
    return found


def by_a_link(person: Person, running: Running) -> dict[str, list[str]]:
    """The operator makes it in the admin, whose pages keep to the policy too; then she has another password."""
    chromium = person.chromium
    person.sign_in(running.admin_user, running.admin_password)
    chromium.faults.clear()
    chromium.asked.clear()
    person.go("/admin/auth/user/")
    for script in (CHOSEN, SENT):
        chromium.run(f"window.leaving = true, {script}, null")
        chromium.wait(lambda: chromium.run(ARRIVED) is True, "the next page of the admin")
    link = re.search(r"/account/password/\S+", chromium.run("document.body.innerText"))
    assert link, chromium.run("document.body.innerText")
    elsewhere = [address for address in chromium.asked if not address.startswith(person.url)]
    found = {"admin": [*chromium.faults, *elsewhere]}
    chromium.call("Network.clearBrowserCookies")
    found["new password"] = faults(person, link[0])
    person.fill(password1="Spring-Tide-7", password2="another")
    person.press("Set the password")
    found["new password, refused"] = faults_of_what_is_open(person)
    person.fill(password1="Spring-Tide-7", password2="Spring-Tide-7")
    person.press("Set the password")
    person.reads("The password is set")
    found["used up"] = faults(person, link[0])
    return found
