"""A day of an operator, by pages alone: a project from nothing to a live enter, and a key's whole life."""

from tests.browser.person import Person
from tests.browser.shop import Shop, addresses
from tests.e2e.calling import INGEST, Caller, track

NAME, SLUG = "Pier Books", "pier-books"
PROJECT = f"/projects/{SLUG}"
ROWS = "[...document.querySelectorAll('[data-live] tbody tr')].map((row) => row.innerText).join('\\n')"


def send(alice: Person, key: str, event: str, user: str) -> int:
    return Caller(alice.url, key).ask("POST", INGEST, {"batch": [track(event, user, properties={"price": 59})]}).status


def sees_live(alice: Person, *words: str) -> None:
    """Without a reload."""

    def seen() -> bool:
        rows = str(alice.chromium.run(ROWS))
        return all(word in rows for word in words)

    alice.chromium.wait(seen, f"{words} among the live rows: {alice.text[:500]}")


def test_from_nothing_to_a_live_enter(alice: Person) -> None:
    alice.chromium.faults.clear()
    key = a_project_and_its_key(alice)
    an_event_arrives(alice, key)
    a_persona_is_built(alice)
    somebody_enters(alice, key)
    it_is_explained(alice)
    assert alice.chromium.faults == []
    the_key_is_rotated_and_revoked(alice, key)


def a_project_and_its_key(alice: Person) -> str:
    alice.go("/")
    alice.press("New project")
    alice.fill(name=NAME)
    alice.press("Make the project")
    alice.reads(f"{NAME} is made")
    assert alice.path == f"{PROJECT}/keys/new/"
    alice.fill(name="Till")
    alice.press("Make the key")
    key = alice.find("#secret")
    assert key.startswith("pk_live_")
    return key


def an_event_arrives(alice: Person, key: str) -> None:
    alice.go(f"{PROJECT}/live/")
    assert send(alice, key, "book_viewed", "ann") == 202
    sees_live(alice, "book_viewed", "ann", "price: 59", "Stored")


def a_persona_is_built(alice: Person) -> None:
    alice.go(f"{PROJECT}/personas/")
    alice.press("New persona")
    alice.fill(**{"slug": "readers", "name": "Readers", "r.0.event": "book_viewed", "r.0.value": "2"})
    alice.reads("+0")  # after a pause in typing: nobody has two yet
    alice.fill(**{"r.0.value": "1"})
    alice.reads("+1")
    assert '"event": "book_viewed"' in alice.chromium.run("document.querySelector('#json').value")
    alice.press("Save version 1")
    alice.reads("readers is saved")
    assert alice.path == f"{PROJECT}/personas/readers/"


def somebody_enters(alice: Person, key: str) -> None:
    alice.go(f"{PROJECT}/live/")
    assert send(alice, key, "book_viewed", "bea") == 202
    sees_live(alice, "bea", "readers")


def it_is_explained(alice: Person) -> None:
    alice.go(f"{PROJECT}/profiles/?q=bea")
    assert alice.path.startswith(f"{PROJECT}/profiles/u_")
    alice.reads("readers")
    alice.go(f"{alice.path}explain/readers/")
    alice.reads("Why is bea in readers?")
    alice.reads("Member since")


def the_key_is_rotated_and_revoked(alice: Person, old: str) -> None:
    alice.go(f"{PROJECT}/keys/")
    alice.press("Rotate")
    alice.press("Rotate key")
    new = alice.find("#secret")
    assert [send(alice, key, "book_viewed", "cat") for key in (old, new)] == [202, 202]
    alice.press("I have stored it")
    alice.go(f"{PROJECT}/keys/{old[: len('pk_live_') + 8]}/revoke/")
    alice.press("Revoke the key")
    alice.reads("is revoked")
    alice.chromium.wait(lambda: send(alice, old, "book_viewed", "cat") == 401, "the refusal of the old key")
    assert send(alice, new, "book_viewed", "cat") == 202


def test_an_outsider_finds_nothing(shop: Shop, alice: Person) -> None:
    """Every page of the shop answers like one that is not there."""
    alice.go(f"{PROJECT}/people/invite/")
    alice.press("Make the link")
    link = alice.find("#secret").removeprefix(alice.url)
    alice.chromium.call("Network.clearBrowserCookies")
    charlie = alice
    charlie.go(link)
    charlie.fill(username="charlie", email="charlie@example.com", password1="Tide-Table-9", password2="Tide-Table-9")
    charlie.press("Make an account and join")
    hidden = list(addresses({**shop.known, "pk": 1}, of_projects=True).values())
    assert len(hidden) > 35
    (missing,) = charlie.answers(["/projects/no-such/"]).values()
    assert missing[0] == 404
    assert charlie.answers(hidden) == dict.fromkeys(hidden, missing)
    assert charlie.answers([f"{PROJECT}/"])[f"{PROJECT}/"][0] == 200
