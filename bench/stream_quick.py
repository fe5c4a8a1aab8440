"""One change to many open streams: how long until each has it. A throw-away PostgreSQL, one web process, 127.0.0.1.

    python bench/stream_quick.py [--streams 1000] [--changes 200] [--pause 0.05]

The clock of a change starts before its transaction and stops in each client's data_received, so writer, commit, bell,
server and client are all in it, on the same cores.
"""

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from persona.embedded import Postgres  # noqa: E402 - found through the line above


class Client(asyncio.Protocol):
    """Notes when each change arrives."""

    def __init__(self, request: bytes, arrivals: list[float]) -> None:
        self.request = request
        self.arrivals = arrivals
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.arrivals.extend([time.perf_counter()] * data.count(b"event: segment.updated"))


async def measure(port: int, key: str, append: Callable[[], object], given: argparse.Namespace) -> list[float]:
    """Milliseconds from the start of each change's transaction to its arrival, for every change and stream."""
    loop = asyncio.get_running_loop()
    request = f"GET /api/v2/pipeline/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    arrivals: list[float] = []
    for _ in range(given.streams):
        await loop.create_connection(lambda: Client(request, arrivals), "127.0.0.1", port)
    await asyncio.sleep(2)  # all of them are registered
    taken: list[float] = []
    for _ in range(given.changes):
        arrivals.clear()
        begun = time.perf_counter()
        await asyncio.to_thread(append)
        async with asyncio.timeout(10):
            while len(arrivals) < given.streams:
                await asyncio.sleep(0.001)
        taken += [(arrival - begun) * 1_000 for arrival in arrivals]
        await asyncio.sleep(given.pause)
    return taken


def memory(pid: int) -> float:
    """Resident megabytes of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1_024


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--streams", type=int, default=1_000)
    arguments.add_argument("--changes", type=int, default=200)
    arguments.add_argument("--pause", type=float, default=0.05)
    given = arguments.parse_args()
    base = Path(tempfile.mkdtemp(prefix="persona-bench-"))
    base.chmod(0o755)
    postgres = Postgres(base, durable=True).start()
    os.environ["DATABASE_URL"] = postgres.dsn()
    os.environ["DJANGO_SETTINGS_MODULE"] = "persona.settings"
    try:
        run(given)
    finally:
        postgres.stop()
        shutil.rmtree(base, ignore_errors=True)


def run(given: argparse.Namespace) -> None:
    """With DATABASE_URL set: migrate, serve, measure, print."""
    django.setup()
    from django.core.management import call_command  # models need the line above

    from keys.models import Project
    from tests.stream.shop import Shop

    call_command("migrate", verbosity=0)
    shop = Shop(Project.objects.create(slug="bench", name="bench"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "persona.asgi:application", "--port", str(port), "--lifespan", "off"]
    server = subprocess.Popen([*command, "--log-level", "warning", "--timeout-graceful-shutdown", "1"], cwd=ROOT)
    try:
        wait_for(port)
        empty = memory(server.pid)
        taken = sorted(asyncio.run(measure(port, shop.pk, shop.append, given)))
        cuts = statistics.quantiles(taken, n=100)
        each = (memory(server.pid) - empty) * 1_024 / given.streams
        print(f"{given.streams} streams, {given.changes} changes: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms,")
        print(f"first of all {taken[0]:.1f} ms, last of all {taken[-1]:.1f} ms; {each:.0f} KB a stream")
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int) -> None:
    """Until something listens."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start")


if __name__ == "__main__":
    main()
