"""The browser's SDK on real pages against the real server: no event is lost that could be kept, none stored twice."""

import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.browser.chromium import Chromium, Tab
from tests.e2e.calling import Caller
from tests.sdks.site import Site
from tests.stack import Stack
from tests.waiting import until

UNLIMITED = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
DAY = 86_400_000
STORED = """select n.name, e.ts, e.received_at, e.props from ingestion_event e join ingestion_eventname n
    on n.project_id = e.project_id and n.id = e.name_id where n.name like %s order by n.name"""
PAGE = "<!doctype html><title>A shop</title><script src='%s/assets/sdk.js'></script>"
QUICKSTART = """<script src="/assets/sdk.js"></script>
<script>
  persona.init("%s");
  persona.track("page_viewed", { path: location.pathname });
</script>"""
FRAME = """new Promise((loaded) => {
  const frame = document.createElement("iframe");
  Object.assign(frame, { sandbox: "allow-scripts", srcdoc: %s, onload: () => loaded() });
  document.body.append(frame);
})"""
FULL = """(() => {
  for (let size = 4_194_304; size >= 1; ) {
    try { localStorage.setItem("theirs" + size + Math.random(), "x".repeat(size)); } catch (error) { size >>= 1; }
  }
})()"""
WRONG_CLOCK = """(() => {
  const Right = Date, now = () => Right.now() + %d;
  window.Date = class extends Right {
    constructor(...given) { given.length ? super(...given) : super(now()); }
    static now() { return now(); }
  };
})()"""


class Books:
    """What the installation has stored of the events whose names begin so."""

    def __init__(self, rows: psycopg.Connection[Any]) -> None:
        self._rows = rows

    def events(self, prefix: str) -> list[tuple[str, int, int, dict[str, Any]]]:
        return self._rows.execute(STORED, [f"{prefix}%"]).fetchall()

    def once(self, prefix: str, count: int) -> None:
        """`prefix 0`, `prefix 1`, ...: each stored, and each once."""
        until(lambda: len(self.events(prefix)) >= count, f"{count} of {prefix}")
        until(lambda: self._rows.execute("select count(*) from ingestion_batch").fetchone() == (0,), "an empty inbox")
        assert sorted(name for name, *_ in self.events(prefix)) == sorted(
            f"{prefix} {number}" for number in range(count)
        )


@pytest.fixture(scope="module")
def books(stack: Stack) -> Iterator[Books]:
    with psycopg.connect(stack.database_url, autocommit=True) as rows:
        yield Books(rows)


@pytest.fixture
def site(stack: Stack, chromium: Chromium) -> Iterator[Site]:
    """A shop of another origin, whose policy lets it speak with itself and with Persona alone."""
    policy = f"default-src 'none'; script-src 'self' {stack.url}; connect-src {stack.url}; frame-src 'self'"
    page = PAGE % stack.url
    with Site({"/": page, "/next": page}, {"Content-Security-Policy": policy}) as site:
        chromium.faults.clear()
        yield site
        chromium.call("Network.emulateNetworkConditions", offline=False, **UNLIMITED)
        chromium.open(f"{site.url}/away")
        chromium.call("Storage.clearDataForOrigin", origin=site.url, storageTypes="all")


def start(tab: Tab, stack: Stack, **options: Any) -> None:
    """Nothing but the key is needed: where the script came from is where the events go."""
    given = {"flushIntervalMs": 20, "retryBaseMs": 20, "retryCapMs": 200, **options}
    tab.run(f"persona.init({json.dumps(stack.publishable_key)}, {json.dumps(given)}), null")


def track(tab: Tab, prefix: str, first: int, last: int) -> None:
    tab.run(f"(() => {{ for (let i = {first}; i < {last}; i++) persona.track({json.dumps(prefix)} + ' ' + i); }})()")


def test_the_quickstart_as_it_is_written(stack: Stack, chromium: Chromium, books: Books) -> None:
    """On a page of the server's own: the event arrives, and a stream tells what it has changed."""
    here = {"op": "trait", "path": "path", "cmp": "eq", "value": "/quickstart.html"}
    rule = {"op": "event", "event": "page_viewed", "where": here, "cmp": "gte", "value": 1}
    Caller(stack.url, stack.secret_key).persona("starters", rule)
    chromium.faults.clear()
    with chromium.serving(f"{stack.url}/quickstart.html", QUICKSTART % stack.publishable_key):
        chromium.open(f"{stack.url}/quickstart.html")
    chromium.run(
        "window.heard = [], persona.subscribe({personas: ['starters'], cursor: '0'}, (c) => heard.push(c.op)), null"
    )
    chromium.wait(lambda: chromium.run("heard") == ["enter"], "the change")
    assert [props for *_, props in books.events("page_viewed") if props.get("path") == "/quickstart.html"]
    assert [fault for fault in chromium.faults if "favicon" not in fault] == []
    chromium.run("persona.close()")


def test_a_page_of_another_origin_under_a_strict_policy(
    stack: Stack, chromium: Chromium, site: Site, books: Books
) -> None:
    chromium.open(f"{site.url}/")
    start(chromium, stack)
    track(chromium, "strict", 0, 3)
    books.once("strict", 3)
    assert chromium.faults == []


def test_offline_for_a_while(stack: Stack, chromium: Chromium, site: Site, books: Books) -> None:
    """Only the event `online` ends the pause; and the page that is left meanwhile is not the one that sends."""
    chromium.open(f"{site.url}/")
    start(chromium, stack, retryBaseMs=600_000, retryCapMs=600_000)
    chromium.call("Network.emulateNetworkConditions", offline=True, **UNLIMITED)
    track(chromium, "offline", 0, 30)
    chromium.wait(lambda: chromium.run("Object.keys(localStorage).some((name) => /queue/.test(name))"), "the outbox")
    assert books.events("offline") == []
    chromium.call("Network.emulateNetworkConditions", offline=False, **UNLIMITED)
    books.once("offline", 30)


def test_a_tab_shut_in_the_middle_of_a_batch(stack: Stack, chromium: Chromium, site: Site, books: Books) -> None:
    """More than a page that ends may send: the next page of the origin sends the rest."""
    tab = chromium.tab()
    tab.open(f"{site.url}/")
    start(tab, stack, flushAt=20)
    track(tab, "shut", 0, 400)
    tab.shut()
    chromium.open(f"{site.url}/next")
    start(chromium, stack)
    books.once("shut", 400)


def test_two_tabs_at_once_and_one_is_shut(stack: Stack, chromium: Chromium, site: Site, books: Books) -> None:
    """What the one leaves the other sends, while it sends its own."""
    tab = chromium.tab()
    for one in (chromium, tab):
        one.open(f"{site.url}/")
        start(one, stack, flushAt=5)
    track(chromium, "tabs", 0, 50)
    track(tab, "tabs", 50, 100)
    track(chromium, "tabs", 100, 150)
    track(tab, "tabs", 150, 300)
    tab.shut()
    books.once("tabs", 300)
    kept = "Object.keys(localStorage).filter((name) => /queue/.test(name))"
    chromium.wait(lambda: chromium.run(kept) == [], "the end of what was kept")


def test_a_page_that_comes_back_by_the_back_button(stack: Stack, chromium: Chromium, site: Site, books: Books) -> None:
    """It was kept whole, and what it had kept another page has sent meanwhile, or it sends it now."""
    chromium.open(f"{site.url}/")
    start(chromium, stack, flushIntervalMs=600_000)
    chromium.run("addEventListener('pageshow', (event) => { window.kept = event.persisted; })")
    track(chromium, "back", 0, 300)
    chromium.open(f"{site.url}/next")
    start(chromium, stack)
    track(chromium, "back", 300, 310)
    chromium.run("history.back(), null")
    chromium.wait(lambda: chromium.run("window.kept") is True, "the page as it was")
    track(chromium, "back", 310, 320)
    chromium.run("persona.flush()")
    books.once("back", 320)


def test_a_full_storage(stack: Stack, chromium: Chromium, site: Site, books: Books) -> None:
    chromium.open(f"{site.url}/")
    chromium.run(FULL)
    start(chromium, stack)
    track(chromium, "full", 0, 50)
    chromium.run("persona.identify('alice')")
    track(chromium, "full", 50, 60)
    books.once("full", 60)


def test_a_frame_that_may_keep_nothing(stack: Stack, chromium: Chromium, books: Books) -> None:
    """Sandboxed: no storage, no locks, and `null` for an origin."""
    start = f"persona.init('{stack.publishable_key}', {{flushIntervalMs: 20}});"
    begin = start + "for (let i = 0; i < 30; i++) persona.track('frame ' + i);"
    with Site({}) as plain:
        chromium.open(f"{plain.url}/")
        chromium.run(FRAME % json.dumps((PAGE % stack.url) + f"<script>{begin}</script>"))
        books.once("frame", 30)


@pytest.mark.parametrize("wrong", [-DAY, DAY], ids=["yesterday", "tomorrow"])
def test_a_clock_that_is_wrong_by_a_day(stack: Stack, chromium: Chromium, site: Site, books: Books, wrong: int) -> None:
    """The server knows by `sentAt`, and counts the event where it belongs."""
    chromium.open(f"{site.url}/")
    chromium.run(WRONG_CLOCK % wrong)
    start(chromium, stack)
    track(chromium, f"clock {wrong}", 0, 2)
    books.once(f"clock {wrong}", 2)
    for _, at, received, _ in books.events(f"clock {wrong}"):
        assert 0 <= received - at < DAY / 24
        assert abs(received - time.time() * 1000) < DAY / 24


def test_a_clock_that_is_put_back_while_the_page_is_open(
    stack: Stack, chromium: Chromium, site: Site, books: Books
) -> None:
    """Nothing waits for a time that has been."""
    chromium.open(f"{site.url}/")
    start(chromium, stack, flushIntervalMs=200)
    track(chromium, "jump", 0, 3)
    chromium.run(WRONG_CLOCK % -DAY)
    track(chromium, "jump", 3, 6)
    books.once("jump", 6)


def test_another_start_on_the_same_page_loses_nothing(
    stack: Stack, chromium: Chromium, site: Site, books: Books
) -> None:
    """As frameworks do that run a part of a page twice; offline meanwhile."""
    chromium.open(f"{site.url}/")
    chromium.call("Network.emulateNetworkConditions", offline=True, **UNLIMITED)
    for round_ in range(3):
        start(chromium, stack)
        track(chromium, "again", round_ * 10, round_ * 10 + 10)
    chromium.call("Network.emulateNetworkConditions", offline=False, **UNLIMITED)
    books.once("again", 30)
