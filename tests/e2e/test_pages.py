"""What a person sees: the sign-in, the admin and the live page of the running installation."""

import http.cookiejar
import urllib.error
import urllib.request
from urllib.parse import urlencode

import pytest

from tests.e2e.calling import SOON, Caller, track
from tests.stack import Stack, wait_for


class Visitor:
    """A browser without scripts: it keeps its cookies and follows redirects."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def open(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, the path where it ended, and the page."""
        token = next((cookie.value for cookie in self.jar if cookie.name == "csrftoken"), None)
        data = urlencode({**form, "csrfmiddlewaretoken": token or ""}).encode() if form is not None else None
        request = urllib.request.Request(self.url + path, data, {"Referer": self.url})  # noqa: S310 - our own server
        try:
            with self._opener.open(request, timeout=SOON) as page:
                return page.status, page.url.removeprefix(self.url), page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, path, error.read().decode()


@pytest.fixture
def charlie(stack: Stack) -> Visitor:
    """Not signed in."""
    return Visitor(stack.url)


@pytest.fixture(scope="module")
def alice(stack: Stack) -> Visitor:
    visitor = Visitor(stack.url)
    visitor.open("/signin/")
    form = {"username": stack.running.admin_user, "password": stack.running.admin_password}
    assert visitor.open("/signin/", form)[:2] == (200, "/")
    return visitor


def test_strangers_are_asked_to_sign_in(charlie: Visitor) -> None:
    status, _, page = charlie.open("/admin/login/")
    assert status == 200
    assert 'name="password"' in page
    for path in ("/", "/projects/demo/live/", "/projects/nobodys/live/"):
        status, where, page = charlie.open(path)
        assert (status, where.partition("?")[0]) == (200, "/signin/")
        assert 'name="password"' in page


def test_the_live_page_shows_what_just_happened(alice: Visitor, server: Caller) -> None:
    assert alice.open("/projects/demo/live/")[0] == 200
    server.applied(server.ingest(track("page_was_seen", "pages-dora", properties={"path": "/live"})))
    assert wait_for(lambda: "page_was_seen" in alice.open("/projects/demo/live/")[2], "the event on the page", SOON)
    assert alice.open("/projects/nobodys/live/")[0] == 404


def test_the_administrator_sees_every_list(alice: Visitor) -> None:
    status, _, index = alice.open("/admin/")
    assert status == 200
    lists = {line.partition('"')[0] for line in index.split('href="/admin/')[1:]}
    lists = {path for path in lists if path.count("/") == 2 and not path.startswith(("auth/", "password"))}
    assert {path.partition("/")[0] for path in lists} >= {"keys", "segments", "ingestion"}
    assert {path: alice.open(f"/admin/{path}")[0] for path in lists} == dict.fromkeys(lists, 200)


def test_probes_answer(charlie: Visitor) -> None:
    assert charlie.open("/health")[0] == 200
    wait_for(lambda: charlie.open("/ready")[0] == 200, "everything to answer within a second", SOON)
