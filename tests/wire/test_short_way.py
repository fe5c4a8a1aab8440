"""The short way through the server, over real connections, says what plain ASGI says, and that what Django says."""

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import uvicorn
from django.utils import timezone

from keys.models import ApiKey
from persona.asgi import application
from persona.serving.shortcut import CHANCES, SHORT, Exchange, Known, ShortProtocol
from tests.ingestion.calling import EVENT, INGEST, Got, Shop, call, call_view, db, lasting, plain, shop, way_in
from tests.waiting import DEADLINE, until
from tests.wire.test_pipeline import case

__all__ = ["db", "lasting", "shop", "way_in"]  # fixtures

PAGE = "https://shop.example"
CORPUS = sorted(Path(__file__).parent.glob("*/*.json"))


@pytest.fixture(scope="module")
def port(way_in: None) -> Iterator[int]:
    """A server with the whole application, on a thread of the test process."""
    config = uvicorn.Config(
        application,
        port=0,
        http=ShortProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started, "the server")
    yield int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the bodies that took the short way."""
    sizes: list[int] = []
    begin = Exchange.begin

    def counted(self: Exchange) -> None:
        sizes.append(len(self.body))
        begin(self)

    monkeypatch.setattr(Exchange, "begin", counted)
    return sizes


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the bodies behind a head that was known already."""
    sizes: list[int] = []
    body = Known.body

    def counted(self: Known, data: bytes) -> bytes | None:
        found = body(self, data)
        sizes.extend([] if found is None else [len(found)])
        return found

    monkeypatch.setattr(Known, "body", counted)
    return sizes


def asked(port: int, path: str, headers: dict[str, str], body: bytes) -> Got:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        connection.request("POST", path, body, {"Host": "testserver", **headers})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        assert len(found) == len(answer.getheaders()), "a header twice"
        return Got(answer.status, found, answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_corpus(path: Path, db: None, lasting: Shop, port: int) -> None:
    """Of all wires: the same status, headers and body. What each of them has to say, the tests of each compare."""
    body, found = case(path)
    address = found.get("path", INGEST)
    headers = {"authorization": f"Bearer {lasting.pk}", "x-request-id": "same", "origin": PAGE}
    raw, view = (plain(way("POST", address, headers=headers, body=body)) for way in (call, call_view))
    assert raw == view == plain(asked(port, address, headers, body))
    assert raw.headers["access-control-allow-origin"] == PAGE


def request(shop: Shop, event: object, *more: str) -> bytes:
    """One batch as it goes over the line."""
    body = msgspec.json.encode({"batch": [event]})
    lines = ("Host: testserver", f"Authorization: Bearer {shop.pk}", f"Content-Length: {len(body)}", *more)
    return f"POST {INGEST} HTTP/1.1\r\n".encode() + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def read_all(connection: socket.socket) -> bytes:
    """Until the server ends the connection."""
    found = b""
    while piece := connection.recv(65_536):
        found += piece
    return found


def test_what_is_short(shop: Shop, port: int, short: list[int]) -> None:
    headers = {"authorization": f"Bearer {shop.pk}"}
    for size in (100, SHORT, SHORT + 1):
        body = msgspec.json.encode({"batch": [EVENT]}).ljust(size)
        assert asked(port, INGEST, headers, body).status == 202
        assert asked(port, f"{INGEST}?why=not", headers, body).status == 202
    assert short == [100, SHORT]
    assert len(shop.rows()) == 6


def test_requests_one_behind_the_other_are_answered_in_their_order(shop: Shop, port: int, short: list[int]) -> None:
    wrong = {"type": "nothing"}
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        pieces = [request(shop, EVENT), request(shop, wrong), request(shop, EVENT, "Connection: close")]
        connection.sendall(b"".join(pieces))
        said = read_all(connection)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"202"] * 3
    assert [b'"accepted":%d' % n in part for n, part in zip((1, 0, 1), said.split(b"HTTP/1.1 ")[1:], strict=True)] == [
        True
    ] * 3
    assert len(short) == 1  # the others came while it was answered
    assert said.count(b"connection: close\r\n") == 1


def test_a_request_in_pieces(shop: Shop, port: int, short: list[int]) -> None:
    whole = request(shop, EVENT, "Connection: close")
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        for at in range(0, len(whole), 40):
            connection.sendall(whole[at : at + 40])
        assert read_all(connection).startswith(b"HTTP/1.1 202 ")
    assert len(short) == 1


def test_a_client_that_leaves_is_stored_all_the_same(shop: Shop, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        connection.sendall(request(shop, EVENT))
    until(lambda: len(shop.rows()) == 1, "the batch")
    assert asked(port, INGEST, {"authorization": f"Bearer {shop.pk}"}, b"[]").status == 400  # the server lives on


class Line:
    """One connection, request by request."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self._came = self._socket.makefile("rb")  # one for all answers: two may come in one piece

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self._came.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> int:
        """The status of the next one."""
        _, status, _ = self._came.readline().split(b" ", 2)
        length = int(http.client.parse_headers(self._came)["content-length"])
        assert len(self._came.read(length)) == length
        return int(status)

    def ask(self, data: bytes) -> int:
        self.send(data)
        return self.answer()


def test_a_head_that_comes_again_is_known(shop: Shop, port: int, known: list[int]) -> None:
    bodies = [request(shop, {**EVENT, "properties": {"a": "x" * n}}) for n in (1, 1, 900, 3)]
    sizes = [len(one.partition(b"\r\n\r\n")[2]) for one in bodies]
    with Line(port) as line:
        assert [line.ask(one) for one in bodies] == [202] * 4
        assert known == sizes[1:]
        refused = bodies[0].replace(b"track", b"trick")
        assert (line.ask(refused), line.ask(bodies[0].replace(b'{"batch"', b'["batch"'))) == (202, 400)
        assert line.ask(bodies[0]) == 202
    assert len(known) == 6
    assert len(shop.rows()) == 6
    assert sum(b"trick" in bytes(row.body) for row in shop.rows()) == 1


def test_what_only_looks_like_a_known_head(shop: Shop, port: int, known: list[int]) -> None:
    """Another head, another length, more than one request or less: the parser reads it, and each is one request."""
    one = request(shop, EVENT)
    head, _, body = one.partition(b"\r\n\r\n")
    length = b"Content-Length: %d" % len(body)
    with Line(port) as line:
        assert line.ask(one) == 202
        for other, status in (
            (one.replace(b"Host", b"X-Request-Id: a\r\nHost"), 202),
            (one.replace(b"testserver", b"elsewhere!"), 400),
            (one.replace(b"Bearer ", b"Bearer x"), 401),
            (one.replace(length, length.replace(b" ", b"  ")), 202),
        ):
            assert (line.ask(other), line.ask(one)) == (status, 202)
    known.clear()
    with Line(port) as line:
        assert line.ask(one) == 202
        line.send(one + one)
        assert [line.answer() for _ in range(2)] == [202, 202]
        for at in (3, len(head), len(head) + 4, len(one) - 1):
            line.send(one[:at])
            line.send(one[at:])  # perhaps it arrives together: then it is known
            assert line.answer() == 202
        assert line.ask(one.replace(length, b"Content-Length: +%d" % len(body))) == 400
    with Line(port) as line:
        assert line.ask(one) == 202
        line.send(one.replace(length, b"Content-Length: %d" % (len(body) + 2)))
        line.send(b"  ")
        assert line.answer() == 202
    assert len(shop.rows()) == 16


def test_half_a_head_is_never_learned(shop: Shop, port: int, known: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[int] = []
    received = ShortProtocol.data_received

    def noted(self: ShortProtocol, data: bytes) -> None:
        received(self, data)
        came.append(len(data))

    monkeypatch.setattr(ShortProtocol, "data_received", noted)
    one = request(shop, EVENT)
    at = one.index(b"\r\nContent-Length")
    with Line(port) as line:
        line.send(one[:at])
        until(lambda: came == [at], "the first half")
        assert line.ask(one[at:]) == 202
        assert line.ask(one[at:]) == 400  # no request at all
    assert known == []


def test_a_client_whose_heads_differ_is_not_learned_for_ever(
    shop: Shop, port: int, known: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[object] = []
    learn = ShortProtocol._learn

    def noted(self: ShortProtocol, exchange: Exchange) -> None:
        learn(self, exchange)
        learned.append(self._known)

    monkeypatch.setattr(ShortProtocol, "_learn", noted)
    with Line(port) as line:
        assert [line.ask(request(shop, EVENT, f"X-Request-Id: {n}")) for n in range(8)] == [202] * 8
    assert len(set(map(id, learned))) == CHANCES
    assert known == []


def test_a_known_key_that_is_revoked(shop: Shop, port: int, known: list[int]) -> None:
    one = request(shop, EVENT)
    with Line(port) as line:
        assert [line.ask(one), line.ask(one)] == [202, 202]
        ApiKey.objects.filter(project=shop.project).update(revoked_at=timezone.now())
        until(lambda: line.ask(one) == 401, "the refusal")
    assert len(known) > 1
