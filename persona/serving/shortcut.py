"""A short way through the server for short requests: no task, no messages of ASGI, the answer in one write.

Taken by the doors in WAYS, for a POST whose body is short and has its length in front. Everything else, and every
other server, goes the long way, which is plain ASGI and answers the same. There the server's own work for a request is
as much again as all of ours.
"""

import re
from asyncio import TimerHandle
from collections.abc import Mapping
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from persona.lib import wire
from persona.lib.landing import landing
from persona.lib.wire import Answer
from persona.serving import deadlines

SHORT = 16 * 1024  # bytes of a body that is read on the event loop
CHANCES = 4  # heads that are learned one after the other without one that comes again
_LENGTH = re.compile(rb"(\r\ncontent-length: )(\d+)(?=\r\n)", re.IGNORECASE)


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


class Known(NamedTuple):
    """A head that the parser has read on this connection, but for the digits of the body's length: with others of them
    it says the same. Most clients repeat theirs word for word."""

    before: bytes
    after: bytes
    way: Way
    headers: wire.Repeated

    def body(self, data: bytes) -> bytes | None:
        """That of a request with this head which `data` is exactly; None when it is anything else."""
        start = len(self.before)
        end = data.find(b"\r", start, start + 6)
        digits = data[start:end]
        if end < 0 or not digits.isdigit() or not data.startswith(self.before) or not data.startswith(self.after, end):
            return None
        body = data[end + len(self.after) :]
        return body if len(body) == int(digits) <= SHORT else None


class ShortProtocol(deadlines.PunctualProtocol):
    """The server's protocol, with the short way."""

    _known: Known | None = None
    _chances = CHANCES  # to learn a head anew
    _piece = b""  # what is being parsed
    _rested = 0.0  # when the last answer went the short way, of the loop's clock
    _resting: TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        known = self._known
        if known is not None and self._is_idle() and (body := known.body(data)) is not None:
            self._chances = CHANCES
            self._unset_keepalive_if_required()
            exchange = Exchange(self, known.way, known.headers)
            self.cycle = exchange  # type: ignore[assignment]  # stands in for uvicorn's
            exchange.answer(body)
            return
        # Only what begins a request: a head whose first half came before is none.
        self._piece = data if self._allowed is None or self.scope is None else b""
        super().data_received(data)
        self._piece = b""

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
        exchange = Exchange(self, way, headers)
        exchange.keep_alive = self.parser.should_keep_alive()
        self.cycle = exchange  # type: ignore[assignment]  # as above

    def on_message_complete(self) -> None:
        super().on_message_complete()
        cycle: object = self.cycle
        if isinstance(cycle, Exchange):
            self._learn(cycle)
            cycle.begin()

    def rest(self) -> None:
        """An answer went the short way. One timer for all of them: setting one costs as much as reading an event."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._rested = self.loop.time()
        if self._resting is None:
            self._resting = self.loop.call_later(self.timeout_keep_alive, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._known = None
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _look(self) -> None:
        """Has nothing come for too long? Where the last answer went the long way, the server's own timer knows."""
        self._resting = None
        if self.transport.is_closing() or self.timeout_keep_alive_task is not None:
            return
        left = float(self.timeout_keep_alive)
        if self._is_idle():
            left = self._rested + self.timeout_keep_alive - self.loop.time()
            if left <= 0:
                self.transport.close()
                return
        self._resting = self.loop.call_later(left, self._look)

    def _learn(self, exchange: "Exchange") -> None:
        """The head of a request that came in one piece and alone."""
        if not (self._chances and exchange.keep_alive):
            return
        self._chances -= 1
        head, end, body = self._piece.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + end)
        if length is not None and int(length[2]) == len(body) and body == exchange.body:
            headers = wire.Repeated(exchange.headers)
            del headers["content-length"]
            self._known = Known(head[: length.end(1)], (head + end)[length.end() :], exchange.way, headers)

    def _is_idle(self) -> bool:
        """All that has come is parsed and answered, and the client reads."""
        cycle = self.cycle
        return (
            self._allowed is None
            and cycle is not None
            and cycle.response_complete
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

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

    __slots__ = (
        "body",
        "disconnected",
        "headers",
        "keep_alive",
        "more_body",
        "protocol",
        "reply",
        "response_complete",
        "response_started",
        "way",
    )  # fmt: skip
    message_event = Nobody()

    def __init__(self, protocol: ShortProtocol, way: Way, headers: Mapping[str, str]) -> None:
        self.protocol = protocol
        self.way = way
        self.headers = headers
        self.body = b""
        self.keep_alive = self.more_body = True
        self.disconnected = self.response_started = self.response_complete = False

    def begin(self) -> None:
        """The request is complete."""
        refused = self.way.turned_away("POST", self.headers)
        if refused is None:
            self.answer(self.body)
        else:
            self.finish(refused)

    def answer(self, body: bytes) -> None:
        """The same for one that was let in."""
        reply = self.way.begun(self.headers, body)
        if isinstance(reply, Answer):
            self.finish(reply)
        else:
            self.reply = reply
            landing().when(reply, self.way.patience, self.land)

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
        protocol.rest()

    def _written(self, answer: Answer) -> bytes:
        named = wire.identity(answer, self.headers.get("x-request-id"))
        said = f"content-type: {answer.media_type}\r\ncontent-length: {len(answer.body)}\r\n"
        return b"".join(
            (
                STATUS_LINE[answer.status],
                _of_server(self.protocol.server_state),
                said.encode("latin-1"),
                wire.lines(named),
                wire.lines(answer.headers) if answer.headers else b"",
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
