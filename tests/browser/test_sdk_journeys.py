"""The browser's SDK through what happens to real pages: no event is lost that could be kept, none is stored twice."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.chromium import Chromium
from tests.sdks.site import Site
from tests.sdks.test_conformance import SERVER
from tests.waiting import until

KEY = "pk_test_conformance"
OFFLINE = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
PAGE = "<!doctype html><title>A shop</title><script src='/sdk.js'></script>"
SNIPPET = """<!doctype html><script>
window.persona = { q: [] };
["init", "track"].forEach((deed) => { persona[deed] = (...given) => { persona.q.push([deed, given]); }; });
persona.init(%s, %s); persona.track("early");
</script><script async src="/sdk.js"></script>"""
FRAME = """new Promise((loaded) => {
  const frame = document.createElement("iframe");
  frame.src = "/next";
  frame.onload = () => loaded();
  document.body.append(frame);
})"""
YESTERDAY = """(() => {
  const Right = Date, now = () => Right.now() - 864e5;
  window.Date = class extends Right {
    constructor(...given) { given.length ? super(...given) : super(now()); }
    static now() { return now(); }
  };
})()"""
CHANGE = {"event": "segment.updated", "data": {"profile": "u_1", "persona": "p", "op": "enter"}}


@pytest.fixture
def site(chromium: Chromium) -> Iterator[Site]:
    """Of another origin than Persona; the browser remembers nothing of it."""
    with Site({"/": PAGE, "/next": PAGE}) as site:
        yield site
        chromium.call("Network.emulateNetworkConditions", offline=False, **OFFLINE)
        chromium.open(f"{site.url}/away")
        chromium.call("Storage.clearDataForOrigin", origin=site.url, storageTypes="all")


def start(chromium: Chromium, server: Any, **options: Any) -> None:
    given = {"url": server.url, "flushIntervalMs": 20, "retryBaseMs": 20, "retryCapMs": 100, **options}
    chromium.run(f"persona.init({json.dumps(KEY)}, {json.dumps(given)}), null")


def track(chromium: Chromium, *names: str) -> None:
    for name in names:
        chromium.run(f"persona.track({json.dumps(name)})")


def stored(server: Any) -> list[str]:
    return [event.get("event", event["type"]) for event in server.seen.stored]


def arrives(server: Any, *names: str) -> None:
    until(lambda: len(stored(server)) >= len(names), f"{names} at the server", 20)
    assert sorted(stored(server)) == sorted(names)


def offline(chromium: Chromium, away: bool) -> None:
    chromium.call("Network.emulateNetworkConditions", offline=away, **OFFLINE)


def test_offline_for_a_while(chromium: Chromium, site: Site) -> None:
    with SERVER.Scripted({}) as server:
        chromium.open(f"{site.url}/")
        start(chromium, server, retryBaseMs=600_000, retryCapMs=600_000)  # only the event `online` ends the pause
        offline(chromium, True)
        track(chromium, "a", "b")
        chromium.wait(
            lambda: chromium.run("Object.keys(localStorage).some((name) => /queue/.test(name))"), "the outbox"
        )
        assert stored(server) == []
        offline(chromium, False)
        arrives(server, "a", "b")


def test_a_page_that_ends_offline_leaves_its_events_to_the_next(chromium: Chromium, site: Site) -> None:
    with SERVER.Scripted({"ingest": [{"status": 503}] * 3 + [{"status": 202}]}) as server:
        chromium.open(f"{site.url}/")
        start(chromium, server, retryBaseMs=600_000, retryCapMs=600_000)
        track(chromium, "a", "b", "c")
        until(lambda: server.seen.answered >= 1, "the first failure", 20)
        chromium.open(f"{site.url}/next")
        start(chromium, server)
        arrives(server, "a", "b", "c")
        assert server.seen.again == []


def test_a_page_that_ends_at_once_has_sent(chromium: Chromium, site: Site) -> None:
    """`pagehide` with keepalive: nobody opens another page here."""
    with SERVER.Scripted({}) as server:
        chromium.open(f"{site.url}/")
        start(chromium, server, flushIntervalMs=600_000)
        track(chromium, "a", "b")
        chromium.open("about:blank#gone")
        arrives(server, "a", "b")


def test_the_answer_to_a_page_that_has_ended_is_not_needed(chromium: Chromium, site: Site) -> None:
    """Taken, and the page is gone before it knows: the next one sends the same ids, stored once."""
    with SERVER.Scripted({"ingest": [{"cut": "after"}, {"status": 202}]}) as server:
        chromium.open(f"{site.url}/")
        start(chromium, server, flushIntervalMs=600_000)
        track(chromium, "a")
        chromium.open(f"{site.url}/next")
        start(chromium, server)
        track(chromium, "b")
        until(lambda: "b" in stored(server), "the second page's event", 20)
        assert sorted(stored(server)) == ["a", "b"]


def test_two_clients_of_one_origin_do_not_send_for_each_other(chromium: Chromium, site: Site) -> None:
    """A frame is to storage and locks what a second tab is."""
    with SERVER.Scripted({"ingest": [{"status": 503}, {"status": 503}, {"status": 202}]}) as server:
        chromium.open(f"{site.url}/")
        chromium.run(FRAME)
        start(chromium, server)
        chromium.run(
            f"frames[0].persona.init('{KEY}', {{url: '{server.url}', flushIntervalMs: 20, retryBaseMs: 20}}), null"
        )
        track(chromium, "mine")
        chromium.run("frames[0].persona.track('theirs')")
        arrives(server, "mine", "theirs")
        assert server.seen.again == []


def test_what_a_tab_that_ends_leaves_another_delivers_at_once(chromium: Chromium, site: Site) -> None:
    with SERVER.Scripted({"ingest": [{"status": 503}, {"status": 503}, {"status": 202}]}) as server:
        chromium.open(f"{site.url}/")
        chromium.run(FRAME)
        slow = {"url": server.url, "flushIntervalMs": 20, "retryBaseMs": 600_000, "retryCapMs": 600_000}
        chromium.run(f"frames[0].persona.init('{KEY}', {json.dumps(slow)}), frames[0].persona.track('theirs')")
        until(lambda: server.seen.answered >= 1, "its first failure", 20)
        start(chromium, server)
        chromium.run("document.querySelector('iframe').remove()")
        arrives(server, "theirs")


@pytest.mark.parametrize(
    "trouble",
    [
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }",
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })",
        "Object.defineProperty(navigator, 'locks', { value: undefined })",
    ],
)
def test_storage_full_or_forbidden(chromium: Chromium, site: Site, trouble: str) -> None:
    with SERVER.Scripted({}) as server:
        chromium.open(f"{site.url}/")
        chromium.run(trouble + ", null" if "=>" not in trouble else f"({{}})[(() => {{ {trouble} }})()], null")
        start(chromium, server)
        track(chromium, "a", "b")
        chromium.run("persona.identify('alice')")
        track(chromium, "c")
        arrives(server, "a", "b", "identify", "c")
        assert server.seen.stored[-1]["userId"] == "alice"
        assert len({event["anonymousId"] for event in server.seen.stored}) == 1


def test_a_clock_that_is_wrong_by_a_day_says_so_with_both_times(chromium: Chromium, site: Site) -> None:
    """The server corrects by sentAt: what counts is that event and sentAt come from the same clock."""
    with SERVER.Scripted({}) as server:
        chromium.open(f"{site.url}/")
        chromium.run(YESTERDAY)
        start(chromium, server)
        track(chromium, "a")
        arrives(server, "a")
        sent, event = server.seen.ingest[0].body["sentAt"], server.seen.stored[0]["timestamp"]
        assert event[:10] == sent[:10] or event < sent
        assert event <= sent


def test_under_a_strict_policy_of_the_page(chromium: Chromium) -> None:
    with SERVER.Scripted({}) as server:
        policy = f"default-src 'none'; script-src 'self'; connect-src {server.url}"
        with Site({"/": PAGE}, {"Content-Security-Policy": policy}) as strict:
            chromium.faults.clear()
            chromium.open(f"{strict.url}/")
            start(chromium, server)
            track(chromium, "a")
            arrives(server, "a")
            assert [fault for fault in chromium.faults if "Policy" in fault] == []


def test_consent_is_waited_for_and_can_be_taken_back(chromium: Chromium, site: Site) -> None:
    with SERVER.Scripted({}) as server:
        chromium.open(f"{site.url}/")
        start(chromium, server, consent="wait")
        track(chromium, "before")
        chromium.run("persona.flush(50)")
        assert chromium.run("localStorage.length") == 0, "nothing is left on the device without consent"
        assert server.seen.ingest == server.seen.config == []
        chromium.run("persona.optIn()")
        arrives(server, "before")
        chromium.run("persona.optOut()")
        track(chromium, "refused")
        chromium.open(f"{site.url}/next")
        start(chromium, server, consent="wait")
        track(chromium, "refused too")
        chromium.run("persona.optIn()")
        track(chromium, "after")
        arrives(server, "before", "after")


def test_do_not_track_is_heeded_where_the_page_says_so(chromium: Chromium, site: Site) -> None:
    with SERVER.Scripted({}) as server:
        chromium.open(f"{site.url}/")
        chromium.run("Object.defineProperty(navigator, 'doNotTrack', { value: '1' }), null")
        start(chromium, server, doNotTrack=True)
        assert chromium.run("persona.track('no')") is False
        chromium.run("persona.optIn()")
        track(chromium, "yes")
        arrives(server, "yes")


def test_calls_before_the_script_has_come(chromium: Chromium, site: Site) -> None:
    with SERVER.Scripted({}) as server:
        site.pages["/late"] = SNIPPET % (json.dumps(KEY), json.dumps({"url": server.url, "flushIntervalMs": 20}))
        chromium.open(f"{site.url}/late")
        arrives(server, "early")


def test_a_subscription_keeps_its_place_across_page_loads(chromium: Chromium, site: Site) -> None:
    first = {"frames": [{"id": 7, **CHANGE}], "then": "hold"}
    with SERVER.Scripted({"stream": [first, {"frames": [{"id": 8, **CHANGE}], "then": "hold"}]}) as server:
        for path, seq in (("/", 7), ("/next", 8)):
            chromium.open(site.url + path)
            start(chromium, server)
            chromium.run("window.heard = [], persona.subscribe({personas: ['p']}, ({seq}) => heard.push(seq)), null")
            chromium.wait(lambda seq=seq: chromium.run("heard") == [seq], f"change {seq}")  # type: ignore[misc]  # mypy cannot type a lambda's default
        assert [asked.headers.get("last-event-id") for asked in server.seen.stream] == [None, "7"]


def test_what_json_does_not_know_is_told_and_ends_nothing(chromium: Chromium, site: Site) -> None:
    with SERVER.Scripted({}) as server:
        chromium.open(f"{site.url}/")
        chromium.run("window.dropped = [], null")
        given = f"url: '{server.url}', flushIntervalMs: 20"
        angry = "onDrop: (event, code) => { dropped.push(code); throw Error('oh'); }"
        chromium.run(f"persona.init('{KEY}', {{{given}, {angry}}}), null")
        chromium.run("(() => { const c = {}; c.c = c; persona.track('circle', c); persona.track('big', {n: 1n}); })()")
        track(chromium, "fine ☕")
        arrives(server, "fine ☕")
        assert chromium.run("dropped") == ["event.not_json", "event.not_json"]
