"""Deadlines for slow clients: uvicorn waits for ever for the rest of a request, and for an answer to be read.

Its only limit is on the silence between two requests, and a single byte sets that back.
`persona.running.programs` starts the server with this protocol.
"""

from asyncio import TimerHandle, Transport

from persona.serving.protocol import BoundedProtocol

HEAD_SECONDS = 20.0  # for address and headers, from the first byte of a request; or until that byte comes
BODY_SECONDS = 60.0  # for the rest; whoever reads the body gives it half of that
STALLED_SECONDS = 60.0  # in which a reader whose buffer is full must take something

TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class PunctualProtocol(BoundedProtocol):
    """Ends a connection whose request does not arrive in time, and cuts one whose answer is not read.

    A request that comes in one piece, as most do, costs no timer.
    """

    _allowed: float | None = HEAD_SECONDS  # seconds for what is missing of a request; None: nothing is
    _watched: float | None = None  # what the timer was set to
    _arriving: TimerHandle | None = None
    _stalled: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self._allowed is None:
            self._allowed = HEAD_SECONDS
        super().data_received(data)
        self._watch()

    def on_message_begin(self) -> None:
        self._allowed = HEAD_SECONDS
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._allowed = BODY_SECONDS
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._allowed = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._flows()

    def connection_lost(self, exc: Exception | None) -> None:
        self._allowed = None
        self._watch()
        self._flows()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self._allowed == self._watched:
            return
        if self._arriving is not None:
            self._arriving.cancel()
        self._watched = self._allowed
        self._arriving = None if self._allowed is None else self.loop.call_later(self._allowed, self._give_up)

    def _flows(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        unanswered = self.cycle is None or self.cycle.response_complete or not self.cycle.response_started
        if self.scope is not None and unanswered:  # there is a request, and nothing of its answer was sent
            self.transport.write(TOO_SLOW)
        self.transport.close()
