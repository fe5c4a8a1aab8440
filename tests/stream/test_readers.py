"""Readers that are not ours: all of them see the ids, and go on after the last one when the server was away.

A program that is lacking is skipped by name; for the npm package: npm ci --prefix tests/stream/readers
"""

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from segments.streaming.hub import open_streams
from tests.browser.chromium import CHROMIUM, Chromium
from tests.stack import free_port
from tests.stream.serving import DEADLINE, served, until
from tests.stream.shop import Shop

HERE = Path(__file__).parent / "readers"
ADDRESS = "/api/v2/pipeline/stream"
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
needs_eventsource = pytest.mark.skipif(
    shutil.which("node") is None or not (HERE / "node_modules").exists(),
    reason="needs npm's eventsource: npm ci --prefix tests/stream/readers (and Node.js)",
)

Ids = Callable[[], list[int]]


def sees_out_a_restart(shop: Shop, port: int, start: Callable[[], Ids]) -> None:
    """Three changes; two more while the server is away; and one when it is back."""
    with ExitStack() as first:
        first.enter_context(served(port=port))
        ids = start()
        until(lambda: open_streams() == 1, "the reader to be there")
        shop.append(3)
        until(lambda: ids() == [1, 2, 3], "what happens while it listens")
    shop.append(2)
    with served(port=port):
        until(lambda: ids() == [1, 2, 3, 4, 5], "what happened while the server was away")
        shop.append()
        until(lambda: ids() == [1, 2, 3, 4, 5, 6], "what happens after")


@pytest.fixture
def port(db: None) -> int:
    until(lambda: open_streams() == 0, "the streams of earlier tests to be closed")
    return free_port()


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def printed(process: subprocess.Popen[bytes], prefix: bytes = b"") -> list[int]:
    """Grows with the numbers that the process prints behind the prefix."""
    found: list[int] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(prefix):
                found.append(int(line.removeprefix(prefix)))  # noqa: PERF401 - it is looked at while it grows

    threading.Thread(target=read, daemon=True).start()
    return found


@needs_eventsource
def test_eventsource_of_npm(shop: Shop, port: int) -> None:
    with ExitStack() as held:

        def start() -> Ids:
            process = held.enter_context(running("node", "reader.mjs", f"http://127.0.0.1:{port}{ADDRESS}", shop.pk))
            found = printed(process)
            return lambda: found

        sees_out_a_restart(shop, port, start)


def test_httpx_sse_of_pypi(shop: Shop, port: int) -> None:
    found: list[int] = []
    enough = threading.Event()

    def read() -> None:
        last = ""
        while not enough.is_set():
            headers = {"Authorization": f"Bearer {shop.pk}", **({"Last-Event-ID": last} if last else {})}
            try:
                with (
                    httpx.Client(timeout=DEADLINE) as client,
                    connect_sse(client, "GET", f"http://127.0.0.1:{port}{ADDRESS}", headers=headers) as source,
                ):
                    for event in source.iter_sse():
                        last = event.id
                        if event.event == "segment.updated":
                            found.append(int(event.id))
            except httpx.TransportError:
                enough.wait(0.05)

    reading = threading.Thread(target=read)

    def start() -> Ids:
        reading.start()
        return lambda: found

    try:
        sees_out_a_restart(shop, port, start)
    finally:
        enough.set()
        reading.join()


def test_curl(shop: Shop, port: int) -> None:
    """It does not come back by itself: a second one goes on where the first was."""
    command = ("curl", "-sN", "-H", f"Authorization: Bearer {shop.pk}", f"http://127.0.0.1:{port}{ADDRESS}")
    with served(port=port):
        with running(*command) as first:
            until(lambda: open_streams() == 1, "curl to be there")
            shop.append(3)
            seen = printed(first, b"id: ")
            until(lambda: seen == [0, 1, 2, 3], "what happens while it listens; 0 is the heartbeat it begins with")
        shop.append(2)
        with running(*command, "-H", "Last-Event-ID: 3") as second:
            seen = printed(second, b"id: ")
            until(lambda: seen == [4, 5], "what happened in between")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Chromium]:
    """A page of another origin than the stream's."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(HERE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = Chromium(tmp_path)
    browser.open(f"http://127.0.0.1:{server.server_port}/page.html")
    yield browser
    browser.close()
    server.shutdown()
    server.server_close()


@needs_chromium
@pytest.mark.parametrize("way", ["withTicket", "withFetch"])
def test_chromium_from_another_origin(shop: Shop, port: int, page: Chromium, way: str) -> None:
    def start() -> Ids:
        page.run(f"{way}({json.dumps(f'http://127.0.0.1:{port}')}, {json.dumps(shop.pk)}); 0")
        return lambda: list(page.run("ids"))

    sees_out_a_restart(shop, port, start)
