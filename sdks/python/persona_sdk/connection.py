"""One HTTP client for one thread, whose waiting another thread can end."""

import encodings.idna
import encodings.utf_8_sig  # noqa: F401 - else a thread asks for them late, and a fork just then leaves the child without
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import Any
from urllib.parse import quote

import httpx

from persona_sdk.options import MOST_ANSWER

OPENED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


@dataclass(frozen=True)
class Answer:
    """`body`: what its JSON says; empty where it is none of ours: a proxy answers whatever it likes."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def code(self) -> str:
        """The server's word for what it refuses; empty without one."""
        code = self.body.get("code")
        return code if isinstance(code, str) else ""


class Connection:
    """`ask` and `open` for the one thread; `abort` for any other: a request under way ends with an httpx.HTTPError.

    `key()` is asked for each request: keys rotate.
    """

    def __init__(self, url: str, key: Callable[[], str]) -> None:
        limits = httpx.Limits(max_connections=1)
        headers = {"Content-Type": "application/json"}
        self.client = httpx.Client(
            base_url=url, headers=headers, follow_redirects=False, limits=limits, verify=_certificates()
        )
        self._key = key
        self._extensions = {"trace": self._note}
        self._open: Any = None  # httpcore's stream, as long as it may be read from

    def ask(self, method: str, path: str, *, seconds: float, **more: Any) -> Answer:
        """One request and its whole answer within the time. Raises httpx.HTTPError. `more`: headers, content."""
        deadline = monotonic() + seconds
        with closing(self.open(method, path, timeout=seconds, **more)) as response:
            return answer_of(response, deadline)

    def open(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:
        """The beginning of an answer. `more`: timeout (seconds), content, params."""
        key = quote(self._key().strip())  # one with a stray letter in it is the server's to refuse
        allowed = {"Authorization": f"Bearer {key}", **(headers or {})}
        request = self.client.build_request(method, path, headers=allowed, extensions=self._extensions, **more)
        return self.client.send(request, stream=True)

    def _note(self, event: str, info: Mapping[str, Any]) -> None:
        if event in OPENED:
            self._open = info["return_value"]

    def abort(self) -> None:
        """Closing a socket does not wake who reads from it; shutting it down does."""
        opened: socket.socket | None = self._open and self._open.get_extra_info("socket")
        if opened is not None:
            with suppress(OSError):  # it is closed already
                opened.shutdown(socket.SHUT_RDWR)


@cache
def _certificates() -> ssl.SSLContext:
    """One for all connections of the process: to read them takes longer than all else that a connection begins with."""
    return httpx.create_ssl_context()


def answer_of(response: httpx.Response, deadline: float) -> Answer:
    """The rest of an answer, until an instant of the monotonic clock. Raises httpx.HTTPError."""
    return Answer(response.status_code, response.headers, _object(_read(response, deadline)))


def _read(response: httpx.Response, deadline: float) -> bytes:
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > MOST_ANSWER or monotonic() > deadline:
            raise httpx.ReadTimeout("an answer without end")
    return bytes(content)


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
