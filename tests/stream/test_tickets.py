"""A ticket opens a stream where no header can be sent: once at a time, for its page, its personas and its key alone."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection

from keys.services import issue_key, revoke_key
from persona.lib.log import redact
from segments.streaming.hub import open_streams
from tests.stream.conftest import Listen
from tests.stream.listening import Listening
from tests.stream.serving import served, until
from tests.stream.shop import Shop

ORIGIN = {"Origin": "https://shop.example"}


class Desk:
    """Asks one server for tickets, and opens streams with them."""

    def __init__(self, port: int, listen: Listen) -> None:
        self.port = port
        self.listen = listen

    def asked(self, key: str, body: object = None, headers: dict[str, str] | None = None) -> Listening:
        text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.listen(key, "/tickets", method="POST", headers=headers, body=text)

    def ticket(self, key: str, body: object = None, headers: dict[str, str] | None = None) -> str:
        answer = self.asked(key, body, headers)
        assert answer.status == 201, answer.response.read()
        return str(document(answer)["ticket"])

    def open(self, ticket: str, headers: dict[str, str] | None = None, **more: Any) -> Listening:
        query = urlencode({"ticket": ticket, **more.pop("query", {})})
        return self.listen(None, f"?{query}", headers=headers, **more)


def document(answer: Listening) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.response.read())
    return found


@pytest.fixture
def desk(port: int, listen: Listen) -> Desk:
    return Desk(port, listen)


def age(seconds: int) -> None:
    """Nobody has used any ticket for so long."""
    with connection.cursor() as cursor:
        cursor.execute("update segments_streamticket set seen_at = seen_at - %s", [seconds * 1_000])


def test_it_opens_a_stream_and_may_be_used_again(shop: Shop, desk: Desk) -> None:
    answer = desk.asked(shop.pk, headers=ORIGIN)
    assert (answer.status, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    given = document(answer)
    assert list(given) == ["ticket", "url", "expiresAt"]
    assert given["url"].startswith("/api/v2/pipeline/stream?ticket=")
    first = desk.listen(None, given["url"].removeprefix("/api/v2/pipeline/stream"), headers=ORIGIN)
    shop.append()
    assert first.next().id == 1
    first.close()
    shop.append()
    assert desk.open(given["ticket"], ORIGIN, last=1).next().id == 2


def test_what_it_may_see_is_sealed(shop: Shop, desk: Desk) -> None:
    ticket = desk.ticket(shop.pk, {"persona": ["churner"]})
    for secret in (shop.pk, shop.pk_key.lookup, "churner"):
        assert secret not in ticket
    assert redact(f"GET /stream?ticket={ticket}&x=1") == "GET /stream?ticket=…&x=1"


def test_its_filter_holds(shop: Shop, desk: Desk) -> None:
    ticket = desk.ticket(shop.pk, {"persona": ["churner"]})
    stream = desk.open(ticket, query={"persona": "churner"})
    shop.append()
    head = shop.append(persona=shop.churner)
    assert stream.next().id == head
    refused = desk.open(ticket, query={"persona": "high_intent"})
    assert (refused.status, refused.problem()["code"]) == (401, "stream.ticket_invalid")


def test_another_page_may_not_use_it(shop: Shop, desk: Desk) -> None:
    ticket = desk.ticket(shop.pk, headers=ORIGIN)
    refused = desk.open(ticket, {"Origin": "https://evil.example"})
    assert (refused.status, refused.problem()["code"]) == (401, "stream.ticket_invalid")
    assert refused.headers["access-control-allow-origin"] == "https://evil.example"
    assert desk.open(ticket, ORIGIN).status == 200
    assert desk.open(ticket).status == 200  # of its own origin, which a browser does not name


def test_it_opens_one_stream_at_a_time(shop: Shop, desk: Desk) -> None:
    ticket = desk.ticket(shop.pk)
    first = desk.open(ticket)
    second = desk.open(ticket)
    assert first.ended()
    shop.append()
    assert second.next().id == 1


def test_in_all_processes_together(shop: Shop, desk: Desk, listen: Listen) -> None:
    """Another process holds a stream with the same ticket: within seconds the first one ends."""
    ticket = desk.ticket(shop.pk)
    first = desk.open(ticket)
    with served() as port:
        second = Listening(port, None, f"?{urlencode({'ticket': ticket})}")
        assert first.ended()
        shop.append()
        assert second.next().id == 1
        second.close()


def test_a_minute_after_its_stream_it_is_spent(shop: Shop, desk: Desk) -> None:
    ticket, unused = desk.ticket(shop.pk), desk.ticket(shop.pk)
    for seconds in (50, 70):
        desk.open(ticket).close()
        until(lambda: open_streams() == 0, "the end of the stream: as long as it is open, its ticket is looked after")
        age(seconds)
    for spent in (ticket, unused):
        refused = desk.open(spent)
        assert (refused.status, refused.problem()["code"]) == (401, "stream.ticket_invalid")


def test_while_its_stream_is_open_it_is_kept(shop: Shop, desk: Desk) -> None:
    ticket = desk.ticket(shop.pk)
    stream = desk.open(ticket)
    age(3_600)
    with connection.cursor() as cursor:
        until(lambda: _seen(cursor, shop), "the ticket to be looked after")
    stream.close()
    assert desk.open(ticket).status == 200


def _seen(cursor: Any, shop: Shop) -> bool:
    cursor.execute(
        "select count(*) from segments_streamticket where project_id = %s"
        " and seen_at > extract(epoch from clock_timestamp()) * 1000 - 60000",
        [shop.project.pk],
    )
    return bool(cursor.fetchone()[0])


def test_it_dies_with_its_key(shop: Shop, desk: Desk) -> None:
    key, secret = issue_key(project=shop.project, kind="pk", name="doomed", actor="test")
    ticket = desk.ticket(secret)
    stream = desk.open(ticket)
    revoke_key(key=key, actor="test")
    assert stream.ended()
    assert desk.open(ticket).problem()["code"] == "auth.revoked_key"


def test_it_can_do_no_more_than_its_key_now(shop: Shop, desk: Desk) -> None:
    ticket = desk.ticket(shop.pk)
    shop.set_streams("off")
    refused = desk.open(ticket)
    assert (refused.status, refused.problem()["code"]) == (403, "stream.not_allowed")


@pytest.mark.parametrize("text", ["", "x", "x" * 20_000, "gAAAAABl", "%00", "ü"])
def test_what_is_no_ticket(shop: Shop, desk: Desk, text: str) -> None:
    refused = desk.open(text)
    assert (refused.status, refused.problem()["code"]) == (401, "stream.ticket_invalid")


def test_who_may_have_none(shop: Shop, desk: Desk) -> None:
    _, narrow = issue_key(project=shop.project, kind="sk", name="a", actor="test", scopes=["personas:read"])
    assert desk.asked(narrow).problem()["code"] == "auth.scope_missing"
    assert desk.asked("pk_live_" + "x" * 32).problem()["code"] == "auth.invalid_key"
    assert desk.asked(shop.pk, {"persona": ["nobody"]}).problem()["code"] == "stream.unknown_persona"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"persona": "churner"}', b'{"persona": [1]}', b'{"personas": ["churner"]}', b"\xff"]
)
def test_a_body_that_cannot_be_read(shop: Shop, desk: Desk, body: bytes) -> None:
    refused = desk.asked(shop.pk, body)
    assert (refused.status, refused.problem()["code"]) == (400, "request.invalid")


def test_a_key_has_only_so_many(shop: Shop, desk: Desk, settings: Any) -> None:
    settings.PERSONA_STREAM_KEY_LIMIT = 3
    for _ in range(3):
        desk.ticket(shop.pk)
    refused = desk.asked(shop.pk)
    assert (refused.status, refused.headers["retry-after"]) == (429, "65")
    assert refused.problem()["code"] == "stream.key_limit"
    age(70)
    desk.ticket(shop.pk)
