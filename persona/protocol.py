"""uvicorn's HTTP protocol with one limit more: its parser takes an address, headers and trailers of any length.

`persona.programs` starts the server with it. A proxy in front has such a limit of its own.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024  # of a request, beside its body; up to one read of the socket more
FRAMES = 8  # bytes of chunk sizes and line ends that a byte of a chunked body may cost


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose request never comes to its body, or never to its end after it."""

    _body = 0  # bytes of this request's body so far
    _other = 0  # bytes of everything else
    _turned = False  # a request has begun or ended in what is being read

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

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._turn()
        super().on_message_complete()

    def _turn(self) -> None:
        self._body, self._turned = 0, True
