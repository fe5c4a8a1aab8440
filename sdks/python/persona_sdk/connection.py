"""One HTTP client for one thread, whose waiting another thread can end."""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx

OPENED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


class Connection:
    """`client` for the one thread; `abort` for any other: a request under way ends with an httpx.HTTPError.

    `key()` is asked for each request: keys rotate.
    """

    def __init__(self, url: str, key: Callable[[], str]) -> None:
        limits = httpx.Limits(max_connections=1)
        headers = {"Content-Type": "application/json"}
        self.client = httpx.Client(base_url=url, headers=headers, follow_redirects=False, limits=limits)
        self._key = key
        self._extensions = {"trace": self._note}
        self._open: Any = None  # httpcore's stream, as long as it may be read from

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Request:
        """Not yet sent, for `client.send`. `more`: timeout (seconds), content, params."""
        allowed = {"Authorization": f"Bearer {self._key()}", **(headers or {})}
        return self.client.build_request(method, path, headers=allowed, extensions=self._extensions, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.send(self.request("GET", path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.client.send(self.request("POST", path, **more))

    def _note(self, event: str, info: Mapping[str, Any]) -> None:
        if event in OPENED:
            self._open = info["return_value"]

    def abort(self) -> None:
        """Closing a socket does not wake who reads from it; shutting it down does."""
        opened: socket.socket | None = self._open and self._open.get_extra_info("socket")
        if opened is not None:
            with suppress(OSError):  # it is closed already
                opened.shutdown(socket.SHUT_RDWR)
