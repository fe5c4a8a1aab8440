"""The clients of other products, unmodified, with nothing but their base URL and their key changed."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import CHROMIUM, Chromium
from tests.effort import tries
from tests.interop.conftest import FOLDER, Books, manage, run
from tests.interop.weather import Proxy
from tests.stack import Stack, wait_for

N = 1_000
ONE_BY_ONE = tries(1_000, plain=200)  # of clients that send each event by itself
IDENTITY = "00ff" * 16

# Script, what its people's ids are LIKE, what it says when nothing was lost. All of these retry, with ids.
RETRYING = {
    "segment_python.py": ("segment-python-_", "lost batches: 0"),
    "rudder_python.py": ("rudder-python-_", "lost batches: 0"),
    "segment_node.mjs": ("segment-node-_", "lost events: 0"),
    "rudder_node.mjs": ("rudder-node-_", "lost batches: 0"),
}
SLOW = pytest.mark.timeout(240)


def storm(n: int) -> str:
    """Refused, down, taken without an answer; then fair, and now and then the same again."""
    return {1: "429", 2: "503", 4: "lost", 7: "503", 9: "lost"}.get(n, "fair")


def fresh(books: Books, people: str) -> int:
    return books.orders(people)[0]


@SLOW
@pytest.mark.parametrize("script", RETRYING)
def test_a_thousand_events_to_a_healthy_server(script: str, stack: Stack, books: Books) -> None:
    """And one among them that nobody can take: it costs no other, and is not sent again."""
    people, said = RETRYING[script]
    before, poisoned = fresh(books, people), books.poisoned()
    assert run(script, stack.url, stack.secret_key, N) == said
    rows, ids, orders = books.orders(people)
    assert (rows - before, rows, orders) == (N, ids, N)
    assert books.poisoned() - poisoned == 1, "sent once, kept once"
    assert books.plan_of(people.replace("_", "0")) == "team"


@SLOW
@pytest.mark.parametrize("script", RETRYING)
def test_a_thousand_events_through_bad_weather_and_a_restart(script: str, stack: Stack, books: Books) -> None:
    """429, 503, answers that are lost, and the server killed in the middle: exactly a thousand, none twice."""
    people, said = RETRYING[script]
    before = fresh(books, people)
    restarted: list[threading.Thread] = []

    def weather(n: int) -> str:
        if n == 5:
            restarted.append(threading.Thread(target=stack.kill, args=["web"]))
            restarted[0].start()
        return storm(n)

    with Proxy(stack.url, weather) as proxy:
        assert run(script, proxy.url, stack.secret_key, N) == said
    for thread in restarted:
        thread.join()
    rows, ids, orders = books.orders(people)
    assert (rows - before, rows, orders) == (N, ids, N)
    assert proxy.posts > 10


def stored_and_lost(said: str) -> int:
    """How many batches a client that does not retry says it has lost."""
    found = re.match(r"lost batches: (\d+)", said)
    assert found, said
    return int(found[1])


@SLOW
def test_segops_with_a_secret_key(stack: Stack, books: Books) -> None:
    before, poisoned = fresh(books, "segops-_"), books.poisoned()
    assert run("segops_client.py", stack.url, stack.secret_key, N) == "lost batches: 0"
    assert books.orders("segops-_")[0] - before == N
    assert books.poisoned() - poisoned == 1
    assert books.plan_of("segops-0") == "team"


@SLOW
def test_segops_loses_what_was_refused_and_nothing_else(stack: Stack, books: Books) -> None:
    """It does not try again: stored is what was answered with 2xx. Batches of 20."""
    before = fresh(books, "segops-_")
    with Proxy(stack.url, lambda n: "429" if n in (3, 8) else "fair") as proxy:
        lost = stored_and_lost(run("segops_client.py", proxy.url, stack.secret_key, N))
    assert lost == 2
    assert books.orders("segops-_")[0] - before == N - 2 * 20


@SLOW
def test_segops_in_a_browser_shakes_hands(stack: Stack, books: Books) -> None:
    """With a publishable key its events are of the user that was signed, whoever they name."""
    slug = stack.running.project
    manage(stack, "add_secret", slug, "identity", "--stdin", given=IDENTITY)
    try:
        said = run("segops_client.py", stack.url, stack.publishable_key, 100, IDENTITY)
    finally:  # others use the same project, without one
        manage(stack, "remove_secret", slug, manage(stack, "list_secrets", slug).split()[0])
    assert said == "lost batches: 0"
    assert books.orders("segops-signed")[0] == 100
    assert books.plan_of("segops-signed") == "team"


@SLOW
def test_shopify_signs_and_verifies(stack: Stack, books: Books) -> None:
    slug = stack.running.project
    manage(stack, "add_secret", slug, "shopify", given="hush\n")
    address = f"{stack.url}/api/ingestion/shopify/{slug}/"
    for many, subscription in (
        (ONE_BY_ONE, "1"),
        (ONE_BY_ONE // 10, "1"),
        (ONE_BY_ONE // 10, "2"),
    ):  # told again, and by another subscription
        assert run("shopify.mjs", address, "hush", many, subscription) == "lost events: 0"
    assert books.orders("shopify-_@example.com")[0] == ONE_BY_ONE
    assert run("shopify.mjs", address, "another", 3) == "lost events: 3"


# --- the browser library ---


@pytest.fixture
def pages() -> Iterator[str]:
    """The page and the library, at an origin of their own."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    handler = functools.partial(Quiet, directory=str(FOLDER))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Chromium]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    browser = Chromium(tmp_path / "chromium")
    yield browser
    browser.close()


@SLOW
@pytest.mark.parametrize("weather", ["fair", "storm"])
def test_segment_in_a_browser(weather: str, stack: Stack, books: Books, pages: str, chromium: Chromium) -> None:
    before, poisoned = fresh(books, "segment-next-_"), books.poisoned()
    with Proxy(stack.url, storm if weather == "storm" else lambda _: "fair") as proxy:
        url = proxy.url if weather == "storm" else stack.url
        chromium.open(f"{pages}/page.html?url={url}&key={stack.publishable_key}&n={ONE_BY_ONE}")
        title = wait_for(
            lambda: found if (found := str(chromium.run("document.title"))) != "running" else None, "the page"
        )
        assert title == "done", (title, chromium.faults)
        wait_for(lambda: books.orders("segment-next-_")[0] - before >= ONE_BY_ONE, "what it sends again", 60)
    rows, ids, orders = books.orders("segment-next-_")
    assert (rows - before, rows, orders) == (ONE_BY_ONE, ids, ONE_BY_ONE)
    assert books.poisoned() - poisoned >= 1
