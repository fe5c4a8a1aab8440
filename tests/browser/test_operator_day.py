"""A day of an operator, by pages alone: a project from nothing to a live enter, and a key's whole life."""

import shutil
import subprocess

from tests.browser.person import Person
from tests.browser.shop import Shop, addresses
from tests.e2e.calling import INGEST, Caller, track

NAME, SLUG = "Pier Books", "pier-books"
PROJECT = f"/projects/{SLUG}"
FOCUS = "(({ name, value }) => name === 'do' ? `do ${value}` : name)(document.activeElement)"
ROWS = "[...document.querySelectorAll('[data-live] tbody tr')].map((row) => row.innerText).join('\\n')"


def send(operator: Person, key: str, event: str, user: str) -> int:
    return (
        Caller(operator.url, key).ask("POST", INGEST, {"batch": [track(event, user, properties={"price": 59})]}).status
    )


def sees_live(operator: Person, *words: str) -> None:
    """Without a reload."""

    def seen() -> bool:
        rows = str(operator.chromium.run(ROWS))
        return all(word in rows for word in words)

    operator.chromium.wait(seen, f"{words} among the live rows: {operator.text[:500]}")


def test_from_nothing_to_a_live_enter(operator: Person) -> None:
    operator.chromium.faults.clear()
    key = a_project_and_its_key(operator)
    an_event_arrives(operator, key)
    a_persona_is_built(operator)
    somebody_enters(operator, key)
    it_is_explained(operator)
    assert operator.chromium.faults == []
    the_key_is_rotated_and_revoked(operator, key)


def a_project_and_its_key(operator: Person) -> str:
    operator.go("/")
    operator.press("New project")
    operator.fill(name=NAME)
    operator.press("Make the project")
    operator.reads(f"{NAME} is made")
    assert operator.path == "/quickstart"
    operator.go(f"{PROJECT}/keys/new/")
    operator.fill(name="Till")
    operator.press("Make the key")
    key = operator.find("#secret")
    assert key.startswith("pk_live_")
    the_line_for_a_terminal_works(operator)
    return key


def the_line_for_a_terminal_works(operator: Person) -> None:
    """As it stands on the page."""
    if curl := shutil.which("curl"):
        line = operator.find("#curl").replace(
            "curl ", f"{curl} --silent --output /dev/null --write-out %{{http_code}} "
        )
        answered = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
        assert answered.stdout == "202"


def an_event_arrives(operator: Person, key: str) -> None:
    operator.go(f"{PROJECT}/live/")
    assert send(operator, key, "book_viewed", "ann") == 202
    sees_live(operator, "book_viewed", "ann", "price: 59", "Stored")


def a_persona_is_built(operator: Person) -> None:
    operator.go(f"{PROJECT}/personas/")
    operator.press("New persona")
    the_focus_follows(operator)
    operator.fill(**{"slug": "readers", "name": "Readers", "r.0.event": "book_viewed", "r.0.value": "2"})
    operator.reads("+0")  # after a pause in typing: nobody has two yet
    operator.fill(**{"r.0.value": "1"})
    operator.reads("+1")
    assert '"event": "book_viewed"' in operator.chromium.run("document.querySelector('#json').value")
    operator.press("Save version 1")
    operator.reads("readers is saved")
    assert operator.path == f"{PROJECT}/personas/readers/"


def the_focus_follows(operator: Person) -> None:
    """To what a button has added, and from what it has taken away."""

    def pressed(button: str, focus: str) -> None:
        operator.chromium.run(f"document.querySelector('#rule-card [value=\"{button}\"]').click()")
        operator.chromium.wait(lambda: operator.chromium.run(FOCUS) == focus, f"the focus after {button}")

    pressed("add:r", "r.1.kind")
    pressed("filter:r.1", "r.1.w.0.path")
    pressed("remove:r.1", "do add:r")


def somebody_enters(operator: Person, key: str) -> None:
    operator.go(f"{PROJECT}/live/")
    assert send(operator, key, "book_viewed", "bea") == 202
    sees_live(operator, "bea", "readers")


def it_is_explained(operator: Person) -> None:
    operator.go(f"{PROJECT}/profiles/?q=bea")
    assert operator.path.startswith(f"{PROJECT}/profiles/u_")
    operator.reads("readers")
    operator.go(f"{operator.path}explain/readers/")
    operator.reads("Why is bea in readers?")
    operator.reads("Member since")


def the_key_is_rotated_and_revoked(operator: Person, old: str) -> None:
    operator.go(f"{PROJECT}/keys/")
    operator.press("Rotate")
    operator.press("Rotate key")
    new = operator.find("#secret")
    assert [send(operator, key, "book_viewed", "cat") for key in (old, new)] == [202, 202]
    operator.press("I have stored it")
    operator.go(f"{PROJECT}/keys/{old[: len('pk_live_') + 8]}/revoke/")
    operator.press("Revoke the key")
    operator.reads("is revoked")
    operator.chromium.wait(lambda: send(operator, old, "book_viewed", "cat") == 401, "the refusal of the old key")
    assert send(operator, new, "book_viewed", "cat") == 202


def test_an_outsider_finds_nothing(shop: Shop, operator: Person) -> None:
    """Every page of the shop answers like one that is not there."""
    operator.go(f"{PROJECT}/people/invite/")
    operator.press("Make the link")
    link = operator.find("#secret").removeprefix(operator.url)
    operator.chromium.call("Network.clearBrowserCookies")
    charlie = operator
    charlie.go(link)
    charlie.fill(username="charlie", email="charlie@example.com", password1="Tide-Table-9", password2="Tide-Table-9")
    charlie.press("Make an account and join")
    hidden = list(addresses({**shop.known, "pk": 1}, of_projects=True).values())
    assert len(hidden) > 35
    (missing,) = charlie.answers(["/projects/no-such/"]).values()
    assert missing[0] == 404
    assert charlie.answers(hidden) == dict.fromkeys(hidden, missing)
    assert charlie.answers([f"{PROJECT}/"])[f"{PROJECT}/"][0] == 200
