"""A short way through the server for short requests: no task, no messages of ASGI, the answer in one write.

Taken by the doors in WAYS, for a POST whose body is short and has its length in front. Everything else, and every
other server, goes the long way, which is plain ASGI and answers the same. There the server's own work for a request is
as much again as all of ours.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from persona import deadlines
from persona.lib import wire
from persona.lib.landing import landing
from persona.lib.wire import Answer

SHORT = 16 * 1024  # bytes of a body that is read on the event loop


class Way(Protocol):
    """What the short way needs of a door."""

    @property
    def always(self) -> bytes:
        """Header lines of every answer."""

    @property
    def patience(self) -> float:
        """Seconds in which a reply must have come."""

    def turned_away(self, method: str, headers: Mapping[str, str]) -> Answer | None: ...

    def begun(self, headers: Mapping[str, str], body: bytes) -> Answer | Future[Answer]: ...

    def ended(self, reply: Future[Answer], headers: Mapping[str, str]) -> Answer: ...


WAYS: dict[bytes, Way] = {}  # by the address as it is written; persona.asgi fills it


class ShortProtocol(deadlines.PunctualProtocol):
    """The server's protocol, with the short way."""

    def on_headers_complete(self) -> None:
        way = WAYS.get(self.url)
        if way is None or not self._is_simple():
            super().on_headers_complete()
            return
        headers = wire.header_map(self.headers)
        if not _is_short(headers):
            super().on_headers_complete()
            return
        self._allowed = deadlines.BODY_SECONDS
        self.cycle = Exchange(self, way, headers)  # type: ignore[assignment]  # stands in for uvicorn's

    def on_message_complete(self) -> None:
        super().on_message_complete()
        cycle: object = self.cycle
        if isinstance(cycle, Exchange):
            cycle.begin()

    def _is_simple(self) -> bool:
        """A POST to which nothing special applies, while no other request of the connection is being answered."""
        parser = self.parser
        return (
            parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
            and not (self.expect_100_continue or self.root_path or self.limit_concurrency or self.config.access_log)
            and not self.flow.write_paused
        )


def _is_short(headers: Mapping[str, str]) -> bool:
    length = headers.get("content-length", "")
    return len(length) < 6 and length.isdecimal() and int(length) <= SHORT and "transfer-encoding" not in headers


class Nobody:
    """Stands where uvicorn tells a waiting application that there is more to read, or that the client is gone."""

    def set(self) -> None:
        """Nobody waits."""


class Exchange:
    """One request that takes the short way. For the protocol it looks like uvicorn's own cycle."""

    message_event = Nobody()

    def __init__(self, protocol: ShortProtocol, way: Way, headers: Mapping[str, str]) -> None:
        self.protocol = protocol
        self.way = way
        self.headers = headers
        self.keep_alive = protocol.parser.should_keep_alive()
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_started = self.response_complete = False

    def begin(self) -> None:
        """The request is complete."""
        way = self.way
        reply = way.turned_away("POST", self.headers) or way.begun(self.headers, self.body)
        if isinstance(reply, Answer):
            self.finish(reply)
        else:
            self.reply = reply
            landing().when(reply, way.patience, self.land)

    def land(self) -> None:
        """The reply has come, or it took too long."""
        self.finish(self.way.ended(self.reply, self.headers))

    def finish(self, answer: Answer) -> None:
        """Send the answer, unless nobody is there any more."""
        protocol = self.protocol
        if self.disconnected or protocol.transport.is_closing():
            self.response_complete = True
            return
        self.response_started = self.response_complete = True
        protocol.transport.write(self._written(answer))
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()

    def _written(self, answer: Answer) -> bytes:
        request_id = wire.request_id(self.headers.get("x-request-id"))
        size = len(answer.body)
        kind = f"content-type: {answer.media_type}\r\ncontent-length: {size}\r\n"
        return b"".join(
            (
                STATUS_LINE[answer.status],
                _of_server(self.protocol.server_state),
                kind.encode("latin-1"),
                wire.lines(answer.headers) if answer.headers else b"",
                f"x-request-id: {request_id}\r\n".encode("latin-1"),
                b"" if self.keep_alive else b"connection: close\r\n",
                self.way.always,
                b"\r\n",
                answer.body,
            )
        )


_servers: tuple[object, bytes] = (None, b"")  # the list it was made of, and the lines


def _of_server(state: ServerState) -> bytes:
    """The server's own header lines: it makes a new list of them, with the date, every second."""
    global _servers
    headers = state.default_headers
    if _servers[0] is not headers:
        _servers = headers, b"".join(b"%s: %s\r\n" % line for line in headers)
    return _servers[1]
