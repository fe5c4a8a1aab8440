"""A small site of another origin than Persona's: its pages load the browser's SDK as it is built."""

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.sdks.drivers import ROOT, SDKS

FILES = {
    "/sdk.js": ROOT / "static" / "assets" / "sdk.js",
    "/persona.mjs": SDKS / "browser" / "dist" / "persona.mjs",
    "/driver.js": SDKS / "browser" / "conformance" / "driver.js",
    "/player.js": SDKS / "conformance" / "player.js",
}
NOTHING = b"<!doctype html><title>another page</title>"


class Site:
    """`pages` (path -> HTML) may be changed at any time; what is not there is an empty page."""

    def __init__(self, pages: Mapping[str, str], headers: Mapping[str, str] | None = None) -> None:
        self.pages, self.headers = dict(pages), dict(headers or {})
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                media_type, content = site.content(self.path.partition("?")[0])
                self.send_response(200)
                for name, value in {"Content-Type": media_type, **site.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class calls it so
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://localhost:{self._server.server_port}"

    def content(self, path: str) -> tuple[str, bytes]:
        if path in FILES:
            return "text/javascript; charset=utf-8", FILES[path].read_bytes()
        return "text/html; charset=utf-8", self.pages.get(path, "").encode() or NOTHING

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
