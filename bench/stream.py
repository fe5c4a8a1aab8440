"""One change to many open streams, beside nginx with nchan in the same run: how long until each has it, at what cost.

    .venv/bin/python bench/stream.py [--streams 1000 5000 10000] [--changes 20] [--burst 200] [--redis] [--alone]

Server and listeners each have a core of their own; PostgreSQL (with fsync) and the writer run where there is room. The
clock of a change starts before its transaction (for nchan: before its POST) and stops when a listener has read it.
"""

import argparse
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import django

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from listeners import Arrivals, Listeners  # noqa: E402 - found through the line above
from nchan import Nchan, is_here  # noqa: E402 - as above

from persona.running.embedded import Postgres  # noqa: E402 - as above

SERVER_CORE, LISTENER_CORE = 0, 1
TICKS = os.sysconf("SC_CLK_TCK")
DATA = (
    '{"profile":"u_bench","persona":"high_intent","op":"enter","at":"2026-06-09T10:13:19.001Z","cause":"event",'
    '"version":1}'
)


class Server(NamedTuple):
    """What is measured. push: make one change."""

    name: str
    port: int
    pid: int
    request: bytes
    push: Callable[[], object]


class Result(NamedTuple):
    """p50, p99 and last in ms; cpu: microseconds of the server a frame; memory: KB a stream."""

    p50: float
    p99: float
    last: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:7.1f} ms  p99 {self.p99:7.1f} ms  last {self.last:7.1f} ms  "
            f"CPU {self.cpu:5.1f} us a frame  {self.memory:5.1f} KB a stream"
        )


def cpu(pid: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> float:
    """Resident KB of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def measure(server: Server, listeners: Listeners, *, streams: int, changes: int, at_once: int) -> Result:
    """`changes` times `at_once` changes to so many streams; each group when the one before has arrived everywhere."""
    empty = memory(server.pid)
    listeners.open(server.port, server.request, streams)
    time.sleep(1)
    each = (memory(server.pid) - empty) / streams
    taken: list[float] = []
    spent = 0.0
    for _ in range(changes):
        begun: list[float] = []
        before = cpu(server.pid)
        listeners.expect(at_once)
        time.sleep(0.05)
        for _ in range(at_once):
            begun.append(time.monotonic())
            server.push()
        taken += milliseconds(listeners.arrivals(), begun)
        spent += cpu(server.pid) - before
    listeners.close()
    time.sleep(1)
    taken.sort()
    cuts = statistics.quantiles(taken, n=100)
    return Result(cuts[49], cuts[98], taken[-1], spent / len(taken) * 1e6, each)


def milliseconds(arrivals: Arrivals, begun: list[float]) -> list[float]:
    """From the beginning of the n-th change to each stream's n-th arrival."""
    taken = []
    for one in arrivals:
        place = 0
        for when, count in one:
            taken += [(when - start) * 1_000 for start in begun[place : place + count]]
            place += count
    return taken


@contextmanager
def stage(given: argparse.Namespace) -> Iterator[Callable[[], AbstractContextManager[Server]]]:
    """A throw-away PostgreSQL, and Redis if it is wanted; gives what starts a web process on them."""
    base = Path(tempfile.mkdtemp(prefix="persona-bench-"))
    base.chmod(0o755)
    with ExitStack() as held:
        held.callback(shutil.rmtree, base, ignore_errors=True)
        postgres = Postgres(base, durable=True).start()
        held.callback(postgres.stop)
        redis = held.enter_context(redis_server()) if given.redis else ""
        os.environ |= {"DATABASE_URL": postgres.dsn(), "DJANGO_SETTINGS_MODULE": "persona.settings", "REDIS_URL": redis}
        os.environ |= {"PERSONA_LOG_LEVEL": "WARNING", "PERSONA_SECRET_KEY": "bench" * 10, "PERSONA_HOME": str(base)}
        django.setup()
        from django.core.management import call_command  # models need the line above

        from keys.models import Project
        from tests.stream.shop import Shop

        call_command("migrate", verbosity=0)
        shop = Shop(Project.objects.create(slug="bench", name="bench"))
        yield lambda: persona(shop.sk, shop.append)


@contextmanager
def persona(key: str, push: Callable[[], object]) -> Iterator[Server]:
    """Its web process."""
    port = free_port()
    process = started(port)
    head = f"GET /api/v2/pipeline/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
    try:
        yield Server("persona", port, process.pid, head.encode(), push)
    finally:
        process.terminate()
        process.wait()


def started(port: int) -> subprocess.Popen[bytes]:
    """The server as `up` runs it, on its core."""
    from persona.running import programs

    command = ["taskset", "-c", str(SERVER_CORE), *programs.web("127.0.0.1", port)]
    process = subprocess.Popen(command, cwd=ROOT)
    wait_for(port)
    return process


@contextmanager
def nchan() -> Iterator[Server]:
    port = free_port()
    running = Nchan(port, SERVER_CORE, DATA)
    try:
        wait_for(port)
        yield Server("nchan", port, running.pid, Nchan.request, running.publish)
    finally:
        running.stop()


@contextmanager
def redis_server() -> Iterator[str]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for(port: int) -> None:
    """Until something listens."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the server did not start")


def compare(name: str, results: dict[str, Result]) -> None:
    for server, result in results.items():
        print(f"{name:28} {server:8} {result}", flush=True)
    if len(results) == 2:
        ours, theirs = results["persona"], results["nchan"]
        ratios = [f"{label} {a / b:.2f}" for label, a, b in zip(Result._fields, ours, theirs, strict=True) if b > 0]
        print(f"{'':28} ratio    {', '.join(ratios)}", flush=True)


def run(given: argparse.Namespace, *, beside: bool) -> None:
    """New servers for every row: what one row has left in their memory is no part of the next."""
    rows = [(f"1 change, {n:,} streams", n, given.changes, 1) for n in given.streams]
    rows += [(f"{given.burst} changes, 1,000 streams", 1_000, 1, given.burst)] if given.burst else []
    listeners = Listeners(LISTENER_CORE)
    try:
        with stage(given) as ours:
            for name, streams, changes, at_once in rows:
                results = {}
                for begin in (ours, nchan) if beside else (ours,):
                    with begin() as server:
                        results[server.name] = measure(
                            server, listeners, streams=streams, changes=changes, at_once=at_once
                        )
                compare(name, results)
    finally:
        listeners.stop()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--streams", type=int, nargs="*", default=[1_000, 5_000, 10_000])
    arguments.add_argument("--changes", type=int, default=20)
    arguments.add_argument("--burst", type=int, default=200)
    arguments.add_argument("--redis", action="store_true", help="the bell rings through Redis")
    arguments.add_argument("--alone", action="store_true", help="without nchan")
    given = arguments.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    os.sched_setaffinity(0, {LISTENER_CORE})  # PostgreSQL and the writer inherit it: the server's core is its own
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if not given.alone and not is_here():
        print("nchan is not here (Debian: apt-get install nginx libnginx-mod-nchan): Persona alone")
    run(given, beside=not given.alone and is_here())


if __name__ == "__main__":
    main()
