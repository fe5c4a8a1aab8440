"""A receiver that means harm cannot hold up others, use up memory, or have us talk to what is inside."""

import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import Settings

from delivery.models import Destination
from delivery.sending import intake, queue, turn, wave
from keys.models import Project
from persona.lib import outbound
from persona.lib.addresses import is_public
from persona.lib.outbound import Answer, Outbound, Request
from tests.delivery.conftest import PATIENT, deliver, hurry, visit, waiting_at, webhook
from tests.delivery.receiver import (
    Got,
    Held,
    Receiver,
    Reply,
    answer,
    cut_off,
    drip,
    drip_headers,
    flood,
    flood_header,
    flood_headers,
    interim,
    no_http,
    receiver,
    reset,
    silent,
)
from tests.waiting import until


@pytest.fixture
def strict() -> Iterator[Outbound]:
    """A client as it is unless the operator says otherwise."""
    client = Outbound(allow_private=False, seconds=1.0)
    yield client
    client.close()


def posted(client: Outbound, url: str) -> Answer:
    return client.post(Request(url, b"{}", {}))


HOSTILE: dict[str, Reply] = {
    "drip": drip,
    "drip_headers": drip_headers,
    "silent": silent,
    "flood_headers": flood_headers,
    "interim": interim,
    "reset": reset,
    "cut_off": cut_off,
    "no_http": no_http,
    "500": answer(500),
    "to_loopback": answer(302, location="http://127.0.0.1:1/"),
    "to_metadata": answer(307, location="http://169.254.169.254/latest/meta-data/"),
    "huge_500": answer(500, b"x" * 4_000_000),
    "flood": flood,
    "huge": answer(200, b"x" * 4_000_000),
}
TAKEN = (HOSTILE["flood"], HOSTILE["huge"])  # a 2xx is a yes, however much comes after it
ENDLESSLY = (drip, drip_headers, silent)  # only time ends these


@pytest.mark.django_db
@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE)
def test_nobody_else_waits_for_it_and_after_it_recovers_all_arrives_in_order(
    shop: Project, inbox: Receiver, alice: User, bad: Reply, settings: Settings
) -> None:
    if bad in ENDLESSLY:
        settings.PERSONA_DELIVERY_SECONDS = 1
    with receiver() as other:
        hostile, good = webhook(shop, inbox.url, alice), webhook(shop, other.url, alice)
        inbox.reply = bad
        visit(shop, *(f"user-{number}" for number in range(12)), times=2)
        deliver(good)
        assert _orders(other.messages) == {f"user-{number}": ["seen", "keen"] for number in range(12)}
        assert len(waiting_at(hostile)) == (0 if bad in TAKEN else 24)
        settings.PERSONA_DELIVERY_SECONDS = PATIENT
        inbox.reply = answer(200)
        before = [] if bad not in TAKEN else inbox.messages
        inbox.got.clear()
        hurry(hostile)
        deliver(hostile)
        assert _orders([*before, *inbox.messages]) == _orders(other.messages)
        assert waiting_at(good) == []


def _orders(messages: list[Any]) -> dict[str, list[str]]:
    """By user: the personas that were told of, in that order. One that came twice in a row is told of once."""
    found: dict[str, list[str]] = {}
    for one in messages:
        told = found.setdefault(one["external_ids"][0], [])
        if told[-1:] != [one["persona"]]:
            told.append(one["persona"])
    return found


@pytest.mark.django_db
def test_a_good_one_is_served_while_a_bad_one_is_waited_for(
    shop: Project, inbox: Receiver, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what happens meanwhile, and however long that is: no turn stands still until the slow one is given up."""
    held = Held()
    with receiver() as other:
        webhook(shop, inbox.url, alice)
        webhook(shop, other.url, alice)
        inbox.reply = held
        visit(shop, "ann")
        look, later = queue.due, ["bob", "cem"]

        def due(**given: Any) -> list[queue.Due]:
            """The next one comes when those before have been told of; and the bad one answers after them all."""
            if len(other.messages) + len(later) == 3:
                visit(shop, later.pop(0)) if later else held.let_go()
            return look(**given)

        monkeypatch.setattr(queue, "due", due)
        turn.deliver_some(period=0.01)
        assert [one["external_ids"] for one in other.messages] == [["ann"], ["bob"], ["cem"]]
        assert _orders(inbox.messages).keys() == {"ann", "bob", "cem"}


@pytest.mark.django_db
def test_many_bad_ones_leave_room_for_a_good_one(shop: Project, alice: User, settings: Settings) -> None:
    """Each of them holds as many connections as it gets, at the same host as the good one."""
    held = Held()
    settings.PERSONA_PROJECT_DESTINATIONS = 20
    with receiver() as bad, receiver() as good:
        for _ in range(12):
            webhook(shop, bad.url, alice)
        webhook(shop, good.url, alice)
        bad.reply = held
        visit(shop, *(f"user-{number}" for number in range(10)))
        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(until, lambda: len(good.got) == 10 or None, "the good one to be told of all", 20)
            served.add_done_callback(lambda _: held.let_go())
            turn.deliver_some()
            served.result()
        assert len(bad.messages) >= 120


@pytest.mark.django_db
def test_failing_ones_never_have_all_the_room(
    shop: Project, alice: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than may be under way at once, all silent: who works is served beside them."""
    monkeypatch.setattr(turn, "DESTINATIONS", 4)
    monkeypatch.setattr(turn, "FAILING", 2)
    settings.PERSONA_PROJECT_DESTINATIONS = 20
    held = Held()
    with receiver() as bad, receiver() as good:
        for _ in range(8):
            webhook(shop, bad.url, alice)
        last = webhook(shop, good.url, alice)
        with connection.cursor() as cursor:
            cursor.execute("update delivery_cursor set failures = 9 where destination_id <> %s", [last.pk])
        bad.reply = held
        visit(shop, "ann")
        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(until, lambda: len(good.got) == 1 or None, "the good one to be told", 20)
            served.add_done_callback(lambda _: held.let_go())
            turn.deliver_some()
            served.result()


def test_names_that_are_never_resolved_hold_up_no_other_name(inbox: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not answer keeps a look-up for longer than any request may take."""
    answers, asked = threading.Event(), list[str]()
    real = socket.getaddrinfo

    def resolver(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(".hanging.example"):
            asked.append(str(host))
            answers.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return real("127.0.0.1" if host == "good.example" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    client = Outbound(allow_private=True, seconds=20.0)
    try:
        with ThreadPoolExecutor(50) as pool:
            hanging = [pool.submit(posted, client, f"http://{n}.hanging.example/") for n in range(50)]
            until(lambda: len(asked) == 50 or None, "all of them to be looked up", 15)
            assert posted(client, f"http://good.example:{inbox.port}/").status == 200
            assert not any(one.done() for one in hanging)
            answers.set()
            assert {one.result(10).error for one in hanging} == {"The name cannot be resolved."}
    finally:
        answers.set()
        client.close()


ENDLESS: list[Reply] = [flood, flood_headers, flood_header, interim]


@pytest.mark.parametrize("reply", ENDLESS, ids=["body", "headers", "header", "interim"])
def test_memory_is_flat_whatever_is_answered(inbox: Receiver, reply: Reply) -> None:
    client = Outbound(allow_private=True, seconds=1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inbox.reply = reply
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: posted(client, inbox.url), range(8)))
    client.close()
    assert {len(one.body) for one in answers} == ({outbound.ANSWER_BYTES} if reply is flood else {0})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.django_db
def test_of_the_answers_of_a_wave_only_the_beginnings_are_kept(shop: Project, inbox: Receiver, alice: User) -> None:
    inbox.reply = answer(200, b"x" * outbound.ANSWER_BYTES)
    hook = webhook(shop, inbox.url, alice)
    visit(shop, *(f"user-{number}" for number in range(12)))
    waiting = _taken_in(hook)
    results = turn.client().run(partial(wave.send, wave.prepare(hook, waiting, probe=False))).result(20)
    assert len(results) == 12
    assert sum(len(one.answer.body) for one in results) < 50_000


def _taken_in(hook: Destination) -> list[queue.Waiting]:
    intake.take_in(hook, 0, queue.clock())
    return queue.waiting(hook.project_id, hook.pk, queue.clock())


@pytest.mark.parametrize("reply", [drip, drip_headers], ids=["body", "headers"])
def test_time_is_for_the_whole_request(inbox: Receiver, reply: Reply) -> None:
    client = Outbound(allow_private=True, seconds=0.5)
    inbox.reply = reply
    found = posted(client, inbox.url)
    client.close()
    assert (found.status, found.error) == (0, "No whole answer within 0.5 s.")


def test_an_answer_is_announced_a_few_times_and_not_for_ever(inbox: Receiver) -> None:
    """The connection is used again afterwards."""

    def hints(got: Got, line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 3)
        answer(204, b"")(got, line)

    client = Outbound(allow_private=True, seconds=PATIENT)
    for reply, status, error in (
        (hints, 204, ""), (hints, 204, ""), (interim, 0, "It announced an answer again and again (1xx) and gave none."),
    ):  # fmt: skip
        inbox.reply = reply
        found = posted(client, inbox.url)
        assert (found.status, found.error) == (status, error)
    client.close()


def test_a_redirect_is_not_followed(inbox: Receiver) -> None:
    client = Outbound(allow_private=True, seconds=1.0)
    with receiver() as inside:
        inbox.reply = answer(302, location=inside.url)
        assert posted(client, inbox.url).status == 302
        assert inside.got == []
    client.close()


INSIDE = (
    "127.0.0.1 localhost localhost. 127.1 127.0.0.1. 0 0.0 0.0.0.0 0x7f.1 0x7f000001 0177.0.0.1 017700000001 2130706433"
    " 2130706433. \u2460\u2461\u2466.0.0.1 127\u30020.0.1 %31%32%37.0.0.1 [::] [::1] [::ffff:127.0.0.1] [::ffff:7f00:1]"
    " [::127.0.0.1] [64:ff9b::7f00:1] [fe80::1%25lo] [fd00:ec2::254] 10.0.0.1 192.168.0.1 100.100.100.200"
    " 169.254.169.254 168.63.129.16"
)


@pytest.mark.parametrize("host", INSIDE.split())
def test_what_is_inside_is_not_connected_to(strict: Outbound, inbox: Receiver, host: str) -> None:
    found = posted(strict, f"http://{host}:{inbox.port}/")
    assert found.status == 0
    assert found.error
    assert inbox.got == []


@pytest.fixture
def vouched_by_nobody(tmp_path: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate for localhost that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    signed = made.sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = tmp_path / "server.pem"
    path.write_bytes(key.private_bytes(pem, plain, serialization.NoEncryption()) + signed.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize("allow_private", [True, False])
def test_a_certificate_that_nobody_vouches_for(vouched_by_nobody: ssl.SSLContext, allow_private: bool) -> None:
    client = Outbound(allow_private=allow_private, seconds=5.0)
    with receiver(vouched_by_nobody) as one:
        found = posted(client, one.url.replace("http:", "https:").replace("127.0.0.1", "localhost"))
        assert one.got == []
    client.close()
    assert found.status == 0
    assert found.error == (
        "The certificate is not valid for this name."
        if allow_private
        else "The name leads to a private address, which is not allowed here."
    )


@pytest.mark.parametrize("reply", [silent, no_http, drip])
def test_a_handshake_that_never_ends_or_is_none(inbox: Receiver, reply: Reply) -> None:
    client = Outbound(allow_private=True, seconds=0.5)
    inbox.greeting = reply
    found = posted(client, inbox.url.replace("http:", "https:"))
    client.close()
    assert (found.status, found.error.endswith(".")) == (0, True)


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
