"""The browser's SDK with a server that fails as it is told: no event is lost that could be kept, none stored twice."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from server import Scripted

from tests.browser.chromium import Chromium
from tests.sdks.site import Site
from tests.waiting import until

KEY = "pk_test_conformance"
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
HELD = "navigator.locks.query().then(({ held }) => held.length)"
CHANGE = {"event": "segment.updated", "data": {"profile": "u_1", "persona": "p", "op": "enter"}}


@pytest.fixture
def site(chromium: Chromium) -> Iterator[Site]:
    """Of another origin than Persona; the browser remembers nothing of it."""
    with Site({"/": PAGE, "/next": PAGE}) as site:
        yield site
        chromium.open(f"{site.url}/away")
        chromium.call("Storage.clearDataForOrigin", origin=site.url, storageTypes="all")


def start(chromium: Chromium, server: Scripted, **options: Any) -> None:
    given = {"url": server.url, "flushIntervalMs": 20, "retryBaseMs": 20, "retryCapMs": 100, **options}
    chromium.run(f"persona.init({json.dumps(KEY)}, {json.dumps(given)}), null")


def track(chromium: Chromium, *names: str) -> None:
    for name in names:
        chromium.run(f"persona.track({json.dumps(name)})")


def stored(server: Scripted) -> list[str]:
    return [event.get("event", event["type"]) for event in server.seen.stored]


def arrives(server: Scripted, *names: str) -> None:
    until(lambda: len(stored(server)) >= len(names), f"{names} at the server")
    assert sorted(stored(server)) == sorted(names)


def test_a_page_that_ends_offline_leaves_its_events_to_the_next(chromium: Chromium, site: Site) -> None:
    with Scripted({"ingest": [{"status": 503}] * 3 + [{"status": 202}]}) as server:
        chromium.open(f"{site.url}/")
        start(chromium, server, retryBaseMs=600_000, retryCapMs=600_000)
        track(chromium, "a", "b", "c")
        until(lambda: server.seen.answered >= 1, "the first failure")
        chromium.open(f"{site.url}/next")
        start(chromium, server)
        arrives(server, "a", "b", "c")
        assert server.seen.again == []


def test_a_page_that_ends_at_once_has_sent(chromium: Chromium, site: Site) -> None:
    """`pagehide` with keepalive: nobody opens another page here."""
    with Scripted({}) as server:
        chromium.open(f"{site.url}/")
        start(chromium, server, flushIntervalMs=600_000)
        track(chromium, "a", "b")
        chromium.open("about:blank#gone")
        arrives(server, "a", "b")


def test_the_answer_to_a_page_that_has_ended_is_not_needed(chromium: Chromium, site: Site) -> None:
    """Taken, and the page is gone before it knows: the next one sends the same ids, stored once."""
    with Scripted({"ingest": [{"cut": "after"}, {"status": 202}]}) as server:
        chromium.open(f"{site.url}/")
        start(chromium, server, flushIntervalMs=600_000)
        track(chromium, "a")
        chromium.open(f"{site.url}/next")
        start(chromium, server)
        track(chromium, "b")
        until(lambda: "b" in stored(server), "the second page's event")
        assert sorted(stored(server)) == ["a", "b"]


def test_two_clients_of_one_origin_do_not_send_for_each_other(chromium: Chromium, site: Site) -> None:
    """A frame is to storage and locks what a second tab is."""
    with Scripted({"ingest": [{"status": 503}, {"status": 503}, {"status": 202}]}) as server:
        chromium.open(f"{site.url}/")
        chromium.run(FRAME)
        start(chromium, server)
        chromium.run(
            f"frames[0].persona.init('{KEY}', {{url: '{server.url}', flushIntervalMs: 20, retryBaseMs: 20}}), null"
        )
        # Until both are known to be there, one may take what the other writes down for what somebody has left.
        chromium.wait(lambda: chromium.run(HELD) == 2, "both to be there")
        track(chromium, "mine")
        chromium.run("frames[0].persona.track('theirs')")
        arrives(server, "mine", "theirs")
        assert server.seen.again == []


def test_what_a_tab_that_ends_leaves_another_delivers_at_once(chromium: Chromium, site: Site) -> None:
    with Scripted({"ingest": [{"status": 503}, {"status": 503}, {"status": 202}]}) as server:
        chromium.open(f"{site.url}/")
        chromium.run(FRAME)
        slow = {"url": server.url, "flushIntervalMs": 20, "retryBaseMs": 600_000, "retryCapMs": 600_000}
        chromium.run(f"frames[0].persona.init('{KEY}', {json.dumps(slow)}), frames[0].persona.track('theirs')")
        until(lambda: server.seen.answered >= 1, "its first failure")
        start(chromium, server)
        chromium.run("document.querySelector('iframe').remove()")
        arrives(server, "theirs")


def test_of_more_than_there_is_room_for_the_oldest_is_kept(chromium: Chromium, site: Site) -> None:
    """And all of it in memory: nothing is given up while the page is there."""
    kept = "JSON.parse(Object.entries(localStorage).find(([name]) => /queue/.test(name))[1]).events.map((e) => e.name)"
    with Scripted({"ingest": [{"status": 503}, {"status": 202}]}) as server:
        chromium.open(f"{site.url}/")
        start(chromium, server, retryBaseMs=600_000, retryCapMs=600_000)
        chromium.run("(() => { for (let i = 0; i < 600; i++) persona.track('e' + i, {filler: 'x'.repeat(4000)}); })()")
        until(lambda: server.seen.answered >= 1, "the first failure")
        names = chromium.run(kept)
        assert 300 < len(names) < 600
        assert names == [f"e{number}" for number in range(len(names))]
        chromium.run("dispatchEvent(new Event('online')), persona.flush()")
        arrives(server, *(f"e{number}" for number in range(600)))


def test_a_browser_without_locks(chromium: Chromium, site: Site) -> None:
    with Scripted({}) as server:
        chromium.open(f"{site.url}/")
        chromium.run("Object.defineProperty(navigator, 'locks', { value: undefined }), null")
        start(chromium, server)
        track(chromium, "a", "b")
        chromium.run("persona.identify('alice')")
        track(chromium, "c")
        arrives(server, "a", "b", "identify", "c")
        assert server.seen.stored[-1]["userId"] == "alice"
        assert len({event["anonymousId"] for event in server.seen.stored}) == 1


def test_consent_is_waited_for_and_can_be_taken_back(chromium: Chromium, site: Site) -> None:
    with Scripted({}) as server:
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
    with Scripted({}) as server:
        chromium.open(f"{site.url}/")
        chromium.run("Object.defineProperty(navigator, 'doNotTrack', { value: '1' }), null")
        start(chromium, server, doNotTrack=True)
        assert chromium.run("persona.track('no')") is False
        chromium.run("persona.optIn()")
        track(chromium, "yes")
        arrives(server, "yes")


def test_calls_before_the_script_has_come(chromium: Chromium, site: Site) -> None:
    with Scripted({}) as server:
        site.pages["/late"] = SNIPPET % (json.dumps(KEY), json.dumps({"url": server.url, "flushIntervalMs": 20}))
        chromium.open(f"{site.url}/late")
        arrives(server, "early")


def test_a_subscription_keeps_its_place_across_page_loads(chromium: Chromium, site: Site) -> None:
    first = {"frames": [{"id": 7, **CHANGE}], "then": "hold"}
    with Scripted({"stream": [first, {"frames": [{"id": 8, **CHANGE}], "then": "hold"}]}) as server:
        for path, seq in (("/", 7), ("/next", 8)):
            chromium.open(site.url + path)
            start(chromium, server)
            chromium.run("window.heard = [], persona.subscribe({personas: ['p']}, ({seq}) => heard.push(seq)), null")
            chromium.wait(lambda seq=seq: chromium.run("heard") == [seq], f"change {seq}")  # type: ignore[misc]  # mypy cannot type a lambda's default
        assert [asked.headers.get("last-event-id") for asked in server.seen.stream] == [None, "7"]


def test_what_json_does_not_know_is_told_and_ends_nothing(chromium: Chromium, site: Site) -> None:
    with Scripted({}) as server:
        chromium.open(f"{site.url}/")
        chromium.run("window.dropped = [], null")
        given = f"url: '{server.url}', flushIntervalMs: 20"
        angry = "onDrop: (event, code) => { dropped.push(code); throw Error('oh'); }"
        chromium.run(f"persona.init('{KEY}', {{{given}, {angry}}}), null")
        chromium.run("(() => { const c = {}; c.c = c; persona.track('circle', c); persona.track('big', {n: 1n}); })()")
        track(chromium, "fine ☕")
        arrives(server, "fine ☕")
        assert chromium.run("dropped") == ["event.not_json", "event.not_json"]
