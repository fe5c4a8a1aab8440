"""The short way through the server says what plain ASGI says, over real connections."""

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import uvicorn

from persona.asgi import application
from persona.shortcut import SHORT, Exchange, ShortProtocol
from tests.ingestion.calling import EVENT, INGEST, Got, Shop, call, db, plain, shop, way_in
from tests.waiting import DEADLINE, until
from tests.wire.test_pipeline import case

__all__ = ["db", "shop", "way_in"]  # fixtures

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
def test_the_corpus(path: Path, shop: Shop, port: int) -> None:
    body, found = case(path)
    address = found.get("path", INGEST)
    headers = {"authorization": f"Bearer {shop.pk}", "x-request-id": "same", "origin": "https://shop.example"}
    assert plain(asked(port, address, headers, body)) == plain(call("POST", address, headers=headers, body=body))


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
