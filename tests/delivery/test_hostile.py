"""A receiver that means harm cannot hold up others, use up memory, or have us talk to what is inside."""

import resource
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from delivery import queue, turn
from keys.models import Project
from persona.lib import outbound
from persona.lib.addresses import is_public
from persona.lib.outbound import Answer, Outbound, Request
from tests.delivery.conftest import deliver, hurry, visit, waiting_at, webhook
from tests.delivery.receiver import Receiver, Reply, answer, drip, drip_headers, flood, receiver, reset


@pytest.fixture
def strict() -> Iterator[Outbound]:
    """A client as it is unless the operator says otherwise."""
    client = Outbound(allow_private=False, seconds=1.0)
    yield client
    client.close()


def posted(client: Outbound, url: str) -> Answer:
    return client.post(Request(url, b"{}", {}))


HOSTILE: list[Reply] = [
    drip,
    drip_headers,
    flood,
    reset,
    answer(500),
    answer(302, location="http://127.0.0.1:1/"),
    answer(307, location="http://169.254.169.254/latest/meta-data/"),
    answer(200, b"x" * 4_000_000),
]
NAMES = ["drip", "drip_headers", "flood", "reset", "500", "to_loopback", "to_metadata", "huge"]


@pytest.mark.django_db
@pytest.mark.parametrize("bad", HOSTILE, ids=NAMES)
def test_nobody_else_waits_for_it_and_after_it_recovers_all_arrives(
    shop: Project, inbox: Receiver, alice: User, bad: Reply
) -> None:
    with receiver() as other:
        hostile, good = webhook(shop, inbox.url, alice), webhook(shop, other.url, alice)
        inbox.reply = bad
        visit(shop, *(f"user-{number}" for number in range(12)))
        turn.deliver_some()
        assert len(other.got) == 12
        inbox.got.clear()
        inbox.reply = answer(200)
        expected = {one.seq for one in waiting_at(hostile)}
        hurry(hostile)
        deliver(hostile)
        assert {one["seq"] for one in inbox.messages} == expected
        assert waiting_at(good) == []


@pytest.mark.django_db
def test_a_good_one_is_served_while_a_bad_one_is_waited_for(
    shop: Project, inbox: Receiver, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what happens meanwhile: the turn does not stand still until the slow one is given up."""
    with receiver() as other:
        webhook(shop, inbox.url, alice)
        webhook(shop, other.url, alice)
        inbox.reply = drip
        visit(shop, "ann")
        look = queue.due

        def due(**given: Any) -> list[tuple[int, int]]:
            """Bob comes when Ann has been told of, the turn's time is over, and the bad one still drips."""
            told = [one["external_ids"] for one in other.messages] == [["ann"]]
            if told and time.monotonic() > begun + 2 * budget and not bob:
                bob.append("bob")
                visit(shop, *bob)
            return look(**given)

        bob: list[str] = []
        budget, begun = 0.1, time.monotonic()
        monkeypatch.setattr(queue, "due", due)
        turn.deliver_some(budget=budget)
        assert [one["external_ids"] for one in other.messages] == [["ann"], ["bob"]]


def test_of_an_answer_only_the_beginning_is_read(inbox: Receiver) -> None:
    client = Outbound(allow_private=True, seconds=2.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inbox.reply = flood
    answers = [posted(client, inbox.url) for _ in range(5)]
    client.close()
    assert {len(one.body) for one in answers} == {outbound.ANSWER_BYTES}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.parametrize("reply", [drip, drip_headers], ids=["body", "headers"])
def test_time_is_for_the_whole_request(inbox: Receiver, reply: Reply) -> None:
    client = Outbound(allow_private=True, seconds=0.5)
    inbox.reply = reply
    found = posted(client, inbox.url)
    client.close()
    assert (found.status, found.error) == (0, "No whole answer within 0.5 s.")


def test_a_redirect_is_not_followed(inbox: Receiver) -> None:
    client = Outbound(allow_private=True, seconds=1.0)
    with receiver() as inside:
        inbox.reply = answer(302, location=inside.url)
        assert posted(client, inbox.url).status == 302
        assert inside.got == []
    client.close()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0.0", "0x7f.1", "2130706433.", "[::ffff:127.0.0.1]", "169.254.169.254"],
)
def test_what_is_inside_is_not_connected_to(strict: Outbound, inbox: Receiver, host: str) -> None:
    found = posted(strict, f"http://{host}:{inbox.port}/")
    assert found.status == 0
    assert found.error
    assert inbox.got == []


def test_a_name_that_changes_its_mind_leads_nowhere(
    strict: Outbound, inbox: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that is checked is the one of the very socket that connects, however often the name is looked up."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolver(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host != "rebind.example":
            return real(host, port, *rest, **more)
        asked.append(str(host))
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr(socket.socket, "connect", _refusing)
    resolver("rebind.example", inbox.port)  # the look of somebody who checks first
    found = posted(strict, f"http://rebind.example:{inbox.port}/")
    assert found.error == "The name leads to a private address, which is not allowed here."
    assert len(asked) == 2
    assert inbox.got == []


def _refusing(*_: Any) -> None:
    raise AssertionError("connected")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("::ffff:8.8.8.8", True), ("64:ff9b::808:808", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.1.2.3", False), ("255.255.255.255", False),
        ("224.0.0.1", False), ("198.18.0.1", False), ("::", False), ("::1", False), ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("fe80::1%eth0", False),
        ("fd00::1", False), ("ff02::1", False), ("2001:db8::1", False), ("2001:0:7f00:1::", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("url", ["http://nothing.invalid/", "http://127.0.0.1:1/", "http://[", "gopher://x/"])
def test_what_cannot_be_reached_is_said_in_words(url: str) -> None:
    client = Outbound(allow_private=True, seconds=2.0)
    found = posted(client, url)
    client.close()
    assert found.status == 0
    assert found.error.endswith(".")
    assert "127.0.0.1" not in found.error
