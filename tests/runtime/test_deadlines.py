"""Slow clients: whoever sends a request byte by byte, or does not read the answer, is not waited for."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from persona.lib.wire import Receive, Scope, Send
from persona.serving import deadlines
from persona.serving.deadlines import PunctualProtocol
from tests.waiting import DEADLINE, until

LARGE = b"x" * 16 * 1024 * 1024  # more than sockets buffer
CLOSED = b""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers to the path: at once, when the body is there, much, or never."""
    if scope["path"] == "/body":
        while (await receive()).get("more_body"):
            pass
    if scope["path"] == "/never":
        await asyncio.Event().wait()
    body = LARGE if scope["path"] == "/large" else b"ok"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[uvicorn.Server]:
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "STALLED_SECONDS"):
        monkeypatch.setattr(deadlines, name, 0.2)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            http=PunctualProtocol,
            lifespan="off",
            log_config=None,
            timeout_keep_alive=int(2 * DEADLINE),  # so that it ends nothing here
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started, "the server")
    yield server
    server.should_exit = True
    thread.join()


@pytest.fixture
def port(server: uvicorn.Server) -> int:
    return int(server.servers[0].sockets[0].getsockname()[1])


def said(port: int, *pieces: bytes) -> bytes:
    """Everything that comes until the connection is ended, which must not depend on us."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
        for piece in pieces:
            client.sendall(piece)
        return read(client)


def read(client: socket.socket) -> bytes:
    pieces = []
    try:
        while piece := client.recv(65_536):
            pieces.append(piece)
    except ConnectionError:
        pass  # cut; what came before it counts
    return b"".join(pieces)


def test_a_request_that_stops_in_its_headers(port: int) -> None:
    assert said(port, b"GET / HTTP/1.1\r\nHost: lo").startswith(b"HTTP/1.1 408 ")


def test_a_request_that_comes_byte_by_byte(port: int) -> None:
    """Each byte sets uvicorn's own limit back."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.02) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-A: ")

        def ended() -> bool:
            try:
                client.sendall(b"a")
                return client.recv(100).startswith(b"HTTP/1.1 408 ")
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        until(ended, "the end of a request that comes byte by byte")


def test_a_connection_that_says_nothing(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PunctualProtocol, "_allowed", 0.2)
    assert said(port) == CLOSED


def test_a_second_request_that_stops(port: int) -> None:
    whole = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert b"HTTP/1.1 408 " in said(port, whole, b"GET / HT")


def test_empty_lines_between_requests(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"\r\n")
        assert read(client).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", [b"/body", b"/"], ids=["awaited", "answered before"])
def test_a_body_that_stops(path: bytes, port: int) -> None:
    answer = said(port, b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc" % path)
    assert answer.startswith(b"HTTP/1.1 200 " if path == b"/" else b"HTTP/1.1 408 ")


def test_an_answer_that_nobody_reads(server: uvicorn.Server, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: server.server_state.total_requests, "the answer")
        until(lambda: not server.server_state.connections, "the connection to be cut")
        assert len(read(client)) < len(LARGE)


def test_whoever_waits_for_an_answer_is_let_wait(port: int) -> None:
    """A stream lasts for hours."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
        client.sendall(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert said(port, b"GET / HTTP/1.1\r\nX-A: ").startswith(b"HTTP/1.1 408 ")  # the deadline of this one passes
        with pytest.raises(TimeoutError):
            client.recv(1)
