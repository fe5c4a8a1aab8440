"""uvicorn's HTTP protocol, with one limit more: its parser takes an address, headers and trailers of any length.

The server is started with `persona.serving.deadlines`, which builds on it. A proxy in front has such a limit of its
own. Beside that it is a pipe for responses that last: ASGI's `send` is a coroutine a write, and cannot say whether it
would have to wait.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from uvicorn._types import ASGI3Application, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES = 64 * 1024  # of a request, beside its body; up to one read of the socket more
FRAMES = 8  # bytes of chunk sizes and line ends that a byte of a chunked body may cost
PIPE = "persona.pipe"  # among the extensions of the ASGI scope


def unchunked(cycle: RequestResponseCycle) -> Callable[[ASGISendEvent], Coroutine[Any, Any, None]]:
    """For HTTP/1.0, which knows no chunks: a response without a length ends with its connection."""
    send, sized = cycle.send, True

    async def sent(message: ASGISendEvent) -> None:
        nonlocal sized
        if message["type"] == "http.response.start":
            sized = any(name.lower() == b"content-length" for name, _ in message.get("headers", []))
            cycle.chunked_encoding = None if sized else False
        elif message["type"] == "http.response.body" and not sized:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    return sent


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose request never comes to its body, or never to its end after it.

    on_stop: called once when the server is asked to stop, by whoever has a response that lasts.
    """

    on_stop: Callable[[], None] | None = None
    _body = 0  # bytes of this request's body so far
    _other = 0  # bytes of everything else
    _turned = False  # a request has begun or ended in what is being read
    _answered: RequestResponseCycle | None = None  # by the application, now or last

    def data_received(self, data: bytes) -> None:
        before = self._body
        self._turned = False
        super().data_received(data)
        self._other = 0 if self._turned else self._other + len(data) - (self._body - before)
        if self._other > HEAD_BYTES + FRAMES * self._body and not self.transport.is_closing():
            self.logger.warning("A request with too much around its body was ended.")
            self.send_400_response("The address and headers of this request are too long.")

    def on_message_begin(self) -> None:
        self._turn()
        super().on_message_begin()
        self.scope["extensions"] = {PIPE: self}  # type: ignore[dict-item]  # the standard's are dicts of dicts

    def on_headers_complete(self) -> None:
        before, old = self.cycle, self.parser.get_http_version() == "1.0"
        if old:
            self.scope["extensions"] = {}  # the pipe is one for chunks
        super().on_headers_complete()
        if old and self.cycle is not None and self.cycle is not before:
            self.cycle.send = unchunked(self.cycle)  # type: ignore[assignment]  # of this one alone

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._turn()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._answered is not None and self._answered is not self.cycle:
            # uvicorn tells the request that came last alone; one before it, say a stream, would wait for ever.
            self._answered.disconnected = True
            self._answered.message_event.set()
        self.on_stop = None
        if self.scope is not None:
            self.scope["extensions"] = {}  # or it would be a cycle, for the collector to find

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def shutdown(self) -> None:
        super().shutdown()
        if self.on_stop is not None:
            self.on_stop()

    # --- The pipe ----------------------------------------------------------------------------------------------------

    def push(self, chunk: bytes) -> bool:
        """Write a chunk (with its size and line ends) of the response that has begun, at once.

        False: the socket's buffer is full, and nothing was written. To wait for room is what `send` does.
        """
        if self.flow.write_paused:
            return False
        if not self.transport.is_closing():
            self.transport.write(chunk)
        return True

    def finish(self, chunk: bytes, patience: float) -> None:
        """The last chunk and the end of the response, full buffer or not; after `patience` seconds the connection is
        cut, whether it was read or not."""
        if not self.transport.is_closing():
            self.transport.write(chunk + b"0\r\n\r\n")
            self.transport.close()
            self.loop.call_later(patience, self.transport.abort)

    def _turn(self) -> None:
        self._body, self._turned = 0, True
