"""One HTTP client for one thread, whose waiting another thread can end."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx

OPENED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


class Connection:
    """`client` for the one thread; `abort` for any other: a request under way ends with an httpx.HTTPError."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        limits = httpx.Limits(max_connections=1)
        self.client = httpx.Client(base_url=url, headers=headers, follow_redirects=False, limits=limits)
        self.extensions = {"trace": self._note}  # to go with every request
        self._open: Any = None  # httpcore's stream, as long as it may be read from

    def _note(self, event: str, info: Mapping[str, Any]) -> None:
        if event in OPENED:
            self._open = info["return_value"]

    def abort(self) -> None:
        """Closing a socket does not wake who reads from it; shutting it down does."""
        opened: socket.socket | None = self._open and self._open.get_extra_info("socket")
        if opened is not None:
            with suppress(OSError):  # it is closed already
                opened.shutdown(socket.SHUT_RDWR)
