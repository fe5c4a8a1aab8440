"""What the SDKs cost, beside Segment's clients in the same run: bytes, the way of one event, events a second and core.

.venv/bin/python bench/sdks.py [--events 50000] [--rounds 3]

A sink in a process of its own answers at once what each client wants to hear and counts what came. Events a second and
core are of the client's process alone: all its threads, from the first track() to the end of the last request.
"""

import argparse
import asyncio
import gzip
import json
import multiprocessing
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from installation import folder

from tests.browser.chromium import CHROMIUM, Chromium
from tests.sdks.site import Site
from tests.stack import ROOT, free_port

PROGRAMS = ROOT / "bench" / "sdks"
OURS = b'{"accepted": 1, "batchId": "b_1"}'
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
CORS = b"Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: authorization, content-type\r\n"
SEGMENT_PAGE = (
    ROOT / "tests" / "interop" / "node_modules" / "@segment" / "analytics-next" / "dist" / "umd" / "standalone.js"
)


# --- the server's part ---


class Sink(asyncio.Protocol):
    """Any POST with a length is taken. Shared by all connections: how many events came, when the first did."""

    events, first = 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            head = self._unread[:end]
            length = LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._unread) < whole:
                return
            body, self._unread = self._unread[end + 4 : whole], self._unread[whole:]
            self._transport.write(self._answer(head, body))

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /seen"):
            return _http(json.dumps({"events": Sink.events, "first": Sink.first}).encode())
        if head.startswith(b"GET /forget"):
            Sink.events, Sink.first = 0, 0.0
        count = body.count(b'"messageId"')
        if count and not Sink.events:
            Sink.first = time.time()
        Sink.events += count
        return _http(OURS if b"/pipeline/" in head[:60] else b'{"success": true}')


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        CORS,
        len(body),
        body,
    )


def _serve(port: int) -> None:
    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(forever())


@contextmanager
def sink() -> Iterator[str]:
    """Its address."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(port,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            ask(url, "/seen")
            break
        except OSError:
            time.sleep(0.05)
    try:
        yield url
    finally:
        process.terminate()
        process.join()


def ask(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=5) as answer:  # noqa: S310 - the sink of this script
        return json.load(answer)


# --- the clients' part ---


def programs(place: Path) -> Mapping[str, Sequence[str]]:
    """Those that this machine has."""
    found = {"Python, ours": [sys.executable, str(PROGRAMS / "client.py"), "ours"]}
    interop = ROOT / ".venv-interop" / "bin" / "python"
    if interop.exists():
        found["Python, segment-analytics-python"] = [str(interop), str(PROGRAMS / "client.py"), "segment"]
    if shutil.which("node"):
        found["Node, ours"] = ["node", str(PROGRAMS / "client.mjs"), "ours"]
        if SEGMENT_PAGE.exists():
            found["Node, @segment/analytics-node"] = ["node", str(PROGRAMS / "client.mjs"), "segment"]
    if shutil.which("go"):
        subprocess.run(["go", "build", "-o", str(place / "client"), "."], cwd=PROGRAMS / "go", check=True)
        found["Go, ours"] = [str(place / "client"), "ours"]
    return found


def play(url: str, program: Sequence[str], events: int) -> Any:
    """What the client says of itself, and when its first event was here."""
    ask(url, "/forget")
    environ = {"PYTHONPATH": str(ROOT / "sdks" / "python"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [*program, url, str(events)], env=environ, capture_output=True, text=True, check=True, timeout=280
    )
    seen = ask(url, "/seen")
    if seen["events"] != events:
        raise SystemExit(f"{program}: {seen['events']} of {events} came")
    said = json.loads(done.stdout)
    return {**said, "first": seen["first"] - said["began"]}


def in_a_browser(url: str) -> float:
    """Milliseconds from init() and the first track() to the sink."""
    page = "<!doctype html><script src='/sdk.js'></script>"
    with Site({"/": page}) as site, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        chromium = Chromium(Path(profile))
        try:
            chromium.open(f"{site.url}/")
            ask(url, "/forget")
            script = f"persona.init('pk_bench', {{url: '{url}'}}), persona.track('page_viewed'), Date.now()"
            began = float(chromium.run(script))
            chromium.wait(lambda: ask(url, "/seen")["events"] == 1, "the event")
        finally:
            chromium.close()
    return float(ask(url, "/seen")["first"]) * 1000 - began


def say(*columns: object) -> None:
    sys.stdout.write("| " + " | ".join(str(column) for column in columns) + " |\n")
    sys.stdout.flush()


def sizes() -> None:
    say("file", "bytes", "gzipped")
    say("---", "---", "---")
    for name, path in {
        "/assets/sdk.js": ROOT / "static" / "assets" / "sdk.js",
        "@segment/analytics-next": SEGMENT_PAGE,
    }.items():
        if path.exists():
            content = path.read_bytes()
            say(name, f"{len(content):,}", f"{len(gzip.compress(content, 9)):,}")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--events", type=int, default=50_000)
    asked.add_argument("--rounds", type=int, default=3)
    given = asked.parse_args()
    sizes()
    with sink() as url, folder() as place:
        if CHROMIUM:
            say(
                "first event of a page, ms",
                round(statistics.median(in_a_browser(url) for _ in range(given.rounds))),
                "",
            )
        say(
            "client", "events/s and core", "us of CPU an event: in track(), in all", "events/s", "first event after, ms"
        )
        say("---", "---", "---", "---", "---")
        for name, program in programs(place).items():
            rounds = [play(url, program, given.events) for _ in range(given.rounds)]
            best = min(rounds, key=lambda one: one["cpu"])
            first = statistics.median(play(url, program, 1)["first"] for _ in range(given.rounds)) * 1000
            each = 1e6 / given.events
            costs = f"{best['tracked'] * each:.1f}, {best['cpu'] * each:.1f}"
            say(
                name,
                f"{given.events / best['cpu']:,.0f}",
                costs,
                f"{given.events / best['seconds']:,.0f}",
                f"{first:,.0f}",
            )


if __name__ == "__main__":
    main()
