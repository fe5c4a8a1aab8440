"""The main job through every part of it: events in over HTTP, enters and leaves out on an open stream."""

import time
from typing import NamedTuple

import pytest

from persona.lib.clock import parse_instant, rfc3339
from tests.e2e.calling import CONFIG, SOON, STREAM, Caller, Json, count, made_key, track
from tests.stack import Stack, wait_for
from tests.stream.listening import Frame, Listening

SHORT = 5_000  # ms, the window of `passing`: longer than a busy machine takes to see a visit


class Personas(NamedTuple):
    """Slugs. passing: while a visit is less than SHORT old; lasting: from the second purchase on."""

    passing: str
    lasting: str


@pytest.fixture(scope="module")
def personas(server: Caller) -> Personas:
    return Personas(
        server.persona("main-passing", count("visit", 1, f"PT{SHORT / 1_000}S")),
        server.persona("main-lasting", count("purchase", 2)),
    )


def said(frame: Frame) -> tuple[str, str, str]:
    return frame.data["persona"], frame.data["op"], frame.data["profile"]


def test_in_at_once_and_out_by_itself_at_the_exact_instant(stack: Stack, server: Caller, personas: Personas) -> None:
    """Alice comes once, Bob three times: each visit prolongs the stay."""
    with Listening(stack.port, stack.secret_key, f"?persona={personas.passing}") as stream:
        once = time.time_ns() // 1_000_000 - 7
        assert server.ingest(track("visit", "main-alice", timestamp=rfc3339(once))).status == 202
        newest = time.time_ns() // 1_000_000
        for ago in (600, 300, 0):
            assert server.ingest(track("visit", "main-bob", timestamp=rfc3339(newest - ago))).status == 202
        heard = stream.take(3)
        while {once + SHORT, newest + SHORT} - {parse_instant(frame.data["at"]) for frame in heard}:
            heard.append(stream.next())
    alice, bob = (server.profile(f"main-{name}")["profile"] for name in ("alice", "bob"))
    enter, leave = (frame for frame in heard if frame.data["profile"] == alice)
    assert said(enter) == (personas.passing, "enter", alice)
    assert said(leave) == (personas.passing, "leave", alice)
    assert (enter.data["cause"], leave.data["cause"]) == ("event", "time")
    assert parse_instant(leave.data["at"]) == once + SHORT
    assert [frame.id for frame in heard] == list(range(enter.id, enter.id + len(heard)))
    bobs = [frame.data["op"] for frame in heard if frame.data["profile"] == bob]
    assert bobs == ["enter", "leave"] * (len(bobs) // 2)  # more than two where the machine slept for longer than a stay


def test_several_posts_are_one_person(stack: Stack, server: Caller, browser: Caller, personas: Personas) -> None:
    with Listening(stack.port, stack.publishable_key, f"?persona={personas.lasting}") as stream:
        server.applied(server.ingest(track("purchase", "main-charlie", messageId="main-charlie-1")))
        repeated = server.ingest(track("purchase", "main-charlie", messageId="main-charlie-1"))
        assert server.applied(repeated)["duplicates"] == 1
        assert server.members(personas.lasting) == set()
        browser.ingest(track("purchase", "main-charlie"))
        assert stream.next().data["op"] == "enter"
    assert server.members(personas.lasting) == {"main-charlie"}
    assert [one["persona"] for one in server.profile("main-charlie")["personas"]] == [personas.lasting]


def test_a_cut_connection_resumes_without_gap_or_repetition(stack: Stack, server: Caller) -> None:
    slug = server.persona("main-resumed", count("download", 1))
    stream = Listening(stack.port, stack.secret_key)
    server.ingest(track("download", "main-1"))
    seen = [stream.next()]
    while seen[-1].data["persona"] != slug:
        seen.append(stream.next())
    stream.close()
    for user in ("main-2", "main-3", "main-4"):
        assert server.ingest(track("download", user)).status == 202
    missed = wait_for(lambda: of(server, slug, 4), "the changes that nobody heard", SOON)[1:]
    with Listening(stack.port, stack.secret_key, f"?persona={slug}", last=seen[-1].id) as again:
        assert [as_change(frame) for frame in again.take(3)] == missed
        server.ingest(track("download", "main-5"))
        assert as_change(again.next()) == of(server, slug, 5)[-1]


def of(server: Caller, slug: str, n: int) -> list[Json]:
    """The changes of a persona, in the form of `as_change`; empty while there are not yet `n`."""
    rows = server.get(f"/changes?limit=1000&persona={slug}")["results"]
    keys = ("seq", "profile", "persona", "op", "at", "cause", "version")
    return [{key: row[key] for key in keys} for row in rows] if len(rows) >= n else []


def as_change(frame: Frame) -> Json:
    return {"seq": frame.id, **frame.data}


def test_a_revoked_key_ends_ingest_and_its_streams(stack: Stack, server: Caller) -> None:
    key = made_key(stack)
    revoked = Caller(stack.url, key)
    assert revoked.ingest(track("visit", "main-alice")).status == 202
    with Listening(stack.port, key) as stream, Listening(stack.port, stack.secret_key) as other:
        assert stack.manage("revoke_key", key[:16]).returncode == 0
        refused = wait_for(
            lambda: got if (got := revoked.ingest(track("visit", "main-alice"))).status != 202 else None,
            "a refusal",
        )
        assert (refused.status, refused.code) == (401, "auth.revoked_key")
        assert stream.ended()
        server.ingest(track("visit", "main-after"))
        assert other.next()


def test_what_a_publishable_key_may_and_may_not(stack: Stack, browser: Caller, personas: Personas) -> None:
    assert browser.ingest(track("visit", "main-alice")).status == 202
    assert browser.ask("GET", CONFIG).json()["flags"]["streaming"] is True
    with Listening(stack.port, stack.publishable_key) as stream:
        assert stream.status == 200
    for method, path in (
        ("GET", "/personas"),
        ("POST", "/personas"),
        ("GET", f"/personas/{personas.lasting}/members"),
        ("DELETE", f"/personas/{personas.lasting}"),
        ("GET", "/profiles/main-alice"),
        ("GET", "/changes?after=0"),
    ):
        refused = browser.ask(method, browser.root + path, {} if method == "POST" else None)
        assert (refused.status, refused.code) == (403, "auth.wrong_kind"), path
    refused = browser.ask("GET", "/api/v2/pipeline/batches/b_0")
    assert (refused.status, refused.code) == (403, "auth.wrong_kind")


def test_a_visitor_becomes_known_and_keeps_what_happened_before(server: Caller) -> None:
    """Anonymous, then identified on two devices, then renamed: one profile, one member, its traits."""
    slug = server.persona("main-reader", count("article_read", 3))
    for device in ("main-phone", "main-laptop"):
        server.applied(server.ingest({"type": "track", "event": "article_read", "anonymousId": device}))
    assert server.members(slug) == set()
    server.applied(
        server.ingest(
            *({"type": "identify", "anonymousId": device, "userId": "main-dora", "traits": {"plan": "trial"}}
              for device in ("main-phone", "main-laptop")),
            track("article_read", "main-dora"),
        )
    )  # fmt: skip
    server.caught_up()
    everything = {"main-dora", "main-phone", "main-laptop"}
    assert server.members(slug) == everything
    renamed = server.ingest({"type": "alias", "previousId": "main-dora", "userId": "main-dora-smith"})
    server.applied(renamed)
    server.caught_up()
    assert server.members(slug) == {*everything, "main-dora-smith"}
    profile = server.profile("main-dora-smith")
    assert profile["traits"] == {"plan": "trial"}
    assert set(profile["external_ids"]) == {*everything, "main-dora-smith"}
    assert server.profile(profile["profile"]) == profile


def test_streams_know_their_personas(server: Caller) -> None:
    refused = server.ask("GET", f"{STREAM}?persona=main-nobody")
    assert (refused.status, refused.code) == (404, "stream.unknown_persona")
