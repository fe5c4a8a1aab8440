"""What bench/ingest.py points its client at: the servers, and what they cost meanwhile."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from persona.running import programs
from tests.stack import free_port, wait_for

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BATCH = 256
EVENT = {
    "type": "track",
    "event": "product_viewed",
    "anonymousId": "5f1c2d3e-aaaa-bbbb-cccc-000000%%%%%%",
    "userId": "user_%%%%%%",
    "messageId": "message-@@@@@@@@@@@@",
    "properties": {"path": "/checkout/thanks", "value": 4900, "currency": "EUR", "items": 3},
}
BARE = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
    else:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
"""


Server = tuple["subprocess.Popen[bytes]", int]  # and its port


class Load(NamedTuple):
    """What one run of the client brought. cpu: seconds of processor of server and of PostgreSQL meanwhile."""

    accepted: int
    seconds: float
    p50_ms: float
    p99_ms: float
    server_cpu: float
    postgres_cpu: float

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds


class Bench:
    """The client, and the servers it is pointed at."""

    def __init__(self, base: Path, key: str) -> None:
        self.base = base
        self.key = key
        self.number = 0  # of the next event
        self.client = base / "client"
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", self.client, HERE / "client.c"], check=True)

    def request(self, events: int) -> Path:
        """A file with one request of so many events."""
        body = json.dumps({"batch": [EVENT] * events}, separators=(",", ":"))
        head = (
            "POST /api/v2/pipeline/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        path = self.base / f"request-{events}"
        path.write_text(head + body)
        return path

    def run(self, server: "subprocess.Popen[bytes]", port: int, **given: float) -> Load:
        """connections, seconds, events (of a request), rate (of requests; 0: as fast as they are answered)."""
        path = self.request(int(given.get("events", 1)))
        words = [port, int(given["connections"]), given["seconds"], given.get("rate", 0), self.number, path]
        before = cpu(server.pid), cpu(postmaster())
        out = subprocess.run([self.client, *map(str, words)], check=True, capture_output=True, text=True).stdout
        after = cpu(server.pid), cpu(postmaster())
        found = json.loads(out)
        assert not found["other"], f"{found['other']} requests were refused, the first with {found['first_other']}"
        self.number = found["next"]
        return Load(
            accepted=found["accepted"],
            seconds=found["seconds"],
            p50_ms=found["p50_ms"],
            p99_ms=found["p99_ms"],
            server_cpu=after[0] - before[0],
            postgres_cpu=after[1] - before[1],
        )


def cpu(pid: int) -> float:
    """Seconds of processor of a process and its children, those that ended included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if pid in (int(stat.parent.name), int(words[1])):
            ticks += sum(map(int, words[11:15] if int(stat.parent.name) == pid else words[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def postmaster() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (backend,) = cursor.fetchone()
    return int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])


@contextmanager
def started(command: list[str], *, port: int = 0, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A program of ours; when it listens."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ}, stdout=subprocess.DEVNULL)
    try:
        if port:
            wait_for(lambda: process.poll() is not None or listens(port), "the server")
        yield process
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def uvicorn(base: Path, app: str, *more: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Another application on the same server."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--app-dir", str(base), "--port", str(port), "--loop", "uvloop"]
    with started(
        [*command, "--http", "httptools", "--no-access-log", "--log-level", "warning", *more], port=port
    ) as process:
        yield process, port


@contextmanager
def ours(*, workers: bool) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    port = free_port()
    with started(programs.web("127.0.0.1", port), port=port) as web:
        if not workers:
            yield web, port
            return
        with started(programs.worker("worker", "live")), started(programs.beat()):
            time.sleep(4)  # until the worker has reached its queue
            yield web, port


def pgbench(base: Path, seconds: int) -> float | None:
    """One-row inserts a second by 8 clients, as pgbench counts them; None without pgbench."""
    program = shutil.which("pgbench")
    if program is None:
        return None
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("create table if not exists one_row (id bigserial primary key, at bigint, body text)")
    script = base / "insert.sql"
    script.write_text(f"insert into one_row (at, body) values (1, '{'x' * 200}');\n")
    command = [program, "-n", "-c", "8", "-j", "2", "-T", str(seconds), "-f", str(script), os.environ["DATABASE_URL"]]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (line,) = [line for line in out.splitlines() if line.startswith("tps")]
    return float(line.split()[2])
