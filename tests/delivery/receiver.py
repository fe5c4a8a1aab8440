"""A receiver on this machine that answers as it is told, well or badly, and keeps what it was sent."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

Json = dict[str, Any]
PATIENCE = 30.0  # seconds


class Got(msgspec.Struct):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


Reply = Callable[[Got, socket.socket], None]


def answer(status: int, body: bytes = b"{}", **headers: str) -> Reply:
    """A plain answer. Header names are written with _."""

    def reply(_: Got, line: socket.socket) -> None:
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{''.join(lines)}\r\n"
        line.sendall(head.encode() + body)

    return reply


def said(status: int, document: object, **headers: str) -> Reply:
    return answer(status, msgspec.json.encode(document), **headers)


def reset(_: Got, line: socket.socket) -> None:
    """Ends the connection without a word."""
    line.shutdown(socket.SHUT_RDWR)


def drip(_: Got, line: socket.socket) -> None:
    """Begins an answer and never ends it."""
    line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    _forever(line, b"x")


def drip_headers(_: Got, line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\n")
    _forever(line, b"x: y\r\n")


def flood(_: Got, line: socket.socket) -> None:
    """An answer as large as anybody will read."""
    line.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        line.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


def silent(_: Got, line: socket.socket) -> None:
    """Takes the request and says nothing, until the other side has gone."""
    while line.recv(1):
        pass


def cut_off(_: Got, line: socket.socket) -> None:
    """Ends in the middle of its answer."""
    line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    line.shutdown(socket.SHUT_RDWR)


def no_http(_: Got, line: socket.socket) -> None:
    line.sendall(b"\x16\x03\x01\x00\x02\x02\x28")
    line.shutdown(socket.SHUT_RDWR)


def flood_headers(_: Got, line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        line.sendall(b"x: " + b"y" * 1_000 + b"\r\n")


def flood_header(_: Got, line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        line.sendall(b"y" * 65_536)


def interim(_: Got, line: socket.socket) -> None:
    """Answers that are not the answer yet, without end."""
    while True:
        line.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
        time.sleep(0.01)


class Held:
    """An answer that comes when it is let go."""

    def __init__(self) -> None:
        self._let_go = threading.Event()

    def __call__(self, got: Got, line: socket.socket) -> None:
        self._let_go.wait(PATIENCE)
        answer(200)(got, line)

    def let_go(self) -> None:
        self._let_go.set()


def _forever(line: socket.socket, part: bytes) -> None:
    while True:
        line.sendall(part)
        time.sleep(0.05)


class Receiver:
    """Serves each connection on a thread of its own. `reply` may be set at any time; `by` chooses one per request."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.got: list[Got] = []
        self.reply: Reply = answer(200)
        self.greeting: Reply | None = None  # instead of waiting for a request
        self._context = context
        self.by: Callable[[Got], Reply | None] = lambda _: None
        self._lines: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def messages(self) -> list[Json]:
        """What came in, batches taken apart."""
        return [one for got in self.got for one in got.json.get("messages", [got.json])]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # closing it alone does not wake who accepts
        self._listener.close()
        for line in self._lines:
            line.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self._lines.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        try:
            if self._context is not None:
                line = self._context.wrap_socket(line, server_side=True)
            with line, line.makefile("rb") as source:
                if self.greeting is not None:
                    self.greeting(Got("", {}, b""), line)
                while got := _read(source):
                    self.got.append(got)
                    (self.by(got) or self.reply)(got, line)
        except (OSError, ValueError):
            return  # the caller has had enough


def _read(source: Any) -> Got | None:
    first = source.readline()
    if not first:
        return None
    headers: dict[str, str] = {}
    while line := source.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return Got(first.split()[1].decode(), headers, source.read(int(headers.get("content-length", 0))))


@contextmanager
def receiver(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    one = Receiver(context)
    try:
        yield one
    finally:
        one.close()
