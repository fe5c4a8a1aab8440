"""A server in front of ours that has bad days, as proxies and servers do: 429, 503, answers that never come through.

What it says of itself is what the other product's server would say; what it passes on, it passes on unchanged.
"""

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HOP = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive", "host", "date", "server"})
Weather = Callable[[int], str]  # of the n-th POST: "fair", "429", "503" or "lost"


def fair(_: int) -> str:
    return "fair"


class Proxy:
    """`with Proxy(url, weather) as proxy: ... proxy.url`. A GET always passes."""

    def __init__(self, upstream: str, weather: Weather = fair) -> None:
        self.posts = 0
        self._upstream = urlsplit(upstream)
        self._weather = weather
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                proxy._answer(self, body, proxy._next())

            def do_GET(self) -> None:
                proxy._answer(self, b"", "fair")

            do_OPTIONS = do_GET  # noqa: N815 - the name http.server looks for

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _next(self) -> str:
        with self._lock:
            self.posts += 1
            return self._weather(self.posts)

    def _answer(self, asked: BaseHTTPRequestHandler, body: bytes, weather: str) -> None:
        if weather in ("429", "503"):
            self._refuse(asked, int(weather))
            return
        try:
            status, headers, text = self._pass_on(asked, body)
        except (OSError, http.client.HTTPException):
            self._refuse(asked, 503)  # it restarts
            return
        if weather == "lost":
            self._refuse(asked, 503)  # it was taken, and the client does not know
            return
        asked.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP:
                asked.send_header(name, value)
        asked.send_header("content-length", str(len(text)))
        asked.end_headers()
        asked.wfile.write(text)

    def _pass_on(self, asked: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=60)
        try:
            headers = {name: value for name, value in asked.headers.items() if name.lower() not in HOP}
            # The Host that the client asked for is what the server answers with, as behind any proxy that says so.
            connection.request(asked.command, asked.path, body or None, {**headers, "host": asked.headers["host"]})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _refuse(self, asked: BaseHTTPRequestHandler, status: int) -> None:
        text = b'{"success":false,"code":"weather","message":"bad weather","detail":"bad weather"}'
        asked.send_response(status)
        asked.send_header("content-type", "application/json")
        asked.send_header("retry-after", "1")
        if origin := asked.headers.get("origin"):
            asked.send_header("access-control-allow-origin", origin)
            asked.send_header("access-control-allow-credentials", "true")
            asked.send_header("access-control-expose-headers", "retry-after")
        asked.send_header("content-length", str(len(text)))
        asked.end_headers()
        asked.wfile.write(text)
