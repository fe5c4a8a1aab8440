"""How much ingest takes and stores, beside what the machine can do: `python bench/ingest.py`. About five minutes.

Starts all it needs on 127.0.0.1 (a PostgreSQL with fsync, the servers, a client in C) and prints a table with ratios.
`--part accept` is what is answered, `--part stored` what is stored, sustained. Needs cc, and pgbench for one line.
"""

import argparse
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
from typing import Any, NamedTuple

from installation import database, folder

from persona import programs
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
# Four of the demo's personas; the fifth asks for a trait that these events do not set.
DEMO = ("browsing_now", "high_intent", "cart_waiting", "sale_or_big_spender")
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


# --- what is answered -------------------------------------------------------------------------------------------------


def accept(bench: Bench, seconds: float) -> None:
    """Acceptance alone: nothing is applied meanwhile."""
    rows: list[tuple[str, Load, int]] = []
    (bench.base / "bare.py").write_text(BARE)
    with uvicorn(bench.base, "bare:app") as (server, port):
        bare = {n: bench.run(server, port, connections=n, seconds=seconds) for n in (32, 128)}
        rows += [(f"bare uvicorn, 202 and nothing else, {n} connections", load, 1) for n, load in bare.items()]
    inserts = pgbench(bench.base, int(seconds))
    with ours(workers=False) as (server, port):
        bench.run(server, port, connections=32, seconds=1)
        single = {n: bench.run(server, port, connections=n, seconds=seconds) for n in (32, 128)}
        full = bench.run(server, port, connections=32, seconds=seconds, events=BATCH)
    rows += [(f"ours, one event a request, {n} connections", load, 1) for n, load in single.items()]
    rows.append((f"ours, {BATCH} events a request, 32 connections", full, BATCH))
    with uvicorn(HERE, "naive:app", "--interface", "wsgi") as (server, port):
        naive = bench.run(server, port, connections=32, seconds=seconds)
        naive_full = bench.run(server, port, connections=8, seconds=seconds, events=BATCH)
    rows.append(("DRF serializers and bulk_create, one event, 32 connections", naive, 1))
    rows.append((f"DRF serializers and bulk_create, {BATCH} events, 8 connections", naive_full, BATCH))
    table(rows)
    if inserts is None:
        print("pgbench is not installed (Debian: postgresql-contrib or postgresql): its line is missing")
    else:
        print(f"pgbench, one row a transaction, 8 clients: {inserts:,.0f} inserts/s")
        print(f"  ours at 128 connections / pgbench       {single[128].rate / inserts:6.2f}")
    for n in (32, 128):
        print(f"  ours / bare uvicorn, {n:3} connections     {single[n].rate / bare[n].rate:6.2f}")
    print(f"  ours / naive, one event, 32 connections {single[32].rate / naive.rate:6.1f}")
    print(f"  ours / naive, batches of {BATCH}            {full.rate / naive_full.rate:6.1f}")


def table(rows: list[tuple[str, Load, int]]) -> None:
    print(
        f"\n| {'':58} | requests/s | events/s | p50 ms | p99 ms | us a request: server, PostgreSQL | an event: both |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, load, events in rows:
        each = [1e6 * spent / max(load.accepted, 1) for spent in (load.server_cpu, load.postgres_cpu)]
        print(
            f"| {name:58} | {load.rate:,.0f} | {load.rate * events:,.0f} | {load.p50_ms:.1f} | {load.p99_ms:.1f} |"
            f" {each[0]:,.0f}, {each[1]:,.0f} | {sum(each) / events:.1f} |"
        )
    print()


# --- what is stored ---------------------------------------------------------------------------------------------------


def stored(bench: Bench, project: Any, rates: argparse.Namespace) -> None:
    """Sustained, at a steady rate, with everything on the same machine."""
    print(
        "\n| sustained | sent events/s | stored events/s | lag at the end, s | drained after, s | p99 ms of the 202 |"
    )
    print("|---|---|---|---|---|---|")
    with ours(workers=True) as server:
        steady(bench, project, server, "one event a request", rate=rates.single, events=1, rates=rates)
        steady(bench, project, server, f"{BATCH} events a request", rate=rates.batch, events=BATCH, rates=rates)
    fill(bench, project)
    with ours(workers=True) as server:
        steady(bench, project, server, "4 personas, 100,000 profiles", rate=rates.judged, events=1, rates=rates)


def steady(
    bench: Bench, project: Any, server: Server, name: str, *, rate: int, events: int, rates: argparse.Namespace
) -> None:
    """`rate` events a second in requests of `events`; counted exactly when all is done, if that is within patience."""
    from segments.watermark import of_project

    before, first = count(project), time.monotonic()
    load = bench.run(*server, connections=64, seconds=rates.seconds, events=events, rate=rate / events)
    ended = time.monotonic()
    done, lag = count(project) - before, of_project(project.pk).lag_ms / 1_000
    while of_project(project.pk).lag_ms and time.monotonic() < ended + rates.patience:
        time.sleep(0.05)
    drained = time.monotonic() - ended
    sent, all_of_it = load.accepted * events, count(project) - before
    assert all_of_it == sent or drained >= rates.patience, f"{sent} acknowledged, {all_of_it} stored"
    print(
        f"| {name:28} | {sent / load.seconds:,.0f} | {done / (ended - first):,.0f} | {lag:.1f} | {drained:.1f} |"
        f" {load.p99_ms:.0f} |",
        flush=True,
    )


def count(project: Any) -> int:
    """Events stored, as the applied batches say: counting rows would take longer than the run."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "select coalesce(sum(stored), 0) from ingestion_appliedbatch where project_id = %s", [project.pk]
        )
        return int(cursor.fetchone()[0] or 0)


def fill(bench: Bench, project: Any) -> None:
    """100,000 profiles, and the personas that will judge them."""
    from ingestion.tasks import apply_some
    from persona.demo_personas import PERSONAS
    from segments import backfill
    from segments.evaluator import evaluate_some
    from segments.services import create_persona

    with ours(workers=False) as (server, port):
        bench.run(server, port, connections=8, seconds=4, events=BATCH)
    while apply_some() + evaluate_some():
        pass
    for slug in DEMO:
        name, rule = PERSONAS[slug]
        document = {"v": 1, "rule": rule}
        create_persona(project=project, slug=slug, name=name, rule=document, status="live", silent=True, actor="bench")
    while backfill.backfill_some() + evaluate_some():
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("accept", "stored", "all"), default="all")
    parser.add_argument("--seconds", type=int, default=60, help="of each sustained run")
    parser.add_argument("--burst", type=float, default=6, help="seconds of each run of the first part")
    parser.add_argument("--patience", type=int, default=60, help="seconds for what is still to be done after each")
    parser.add_argument("--single", type=int, default=8_000, help="events a second, one a request")
    parser.add_argument("--batch", type=int, default=40_000, help=f"events a second, {BATCH} a request")
    parser.add_argument("--judged", type=int, default=3_000, help="events a second with personas")
    given = parser.parse_args()
    os.environ |= {"PERSONA_INGEST_RATE": "0", "PERSONA_SECRET_KEY": "only-for-this-bench" * 3}
    with folder() as base, database():
        from keys.models import Project
        from keys.services import issue_key

        project = Project.objects.create(slug="bench", name="Bench")
        _, secret = issue_key(project=project, kind="sk", name="bench", actor="bench")
        bench = Bench(base, secret)
        if given.part != "stored":
            accept(bench, given.burst)
        if given.part != "accept":
            stored(bench, project, given)


if __name__ == "__main__":
    main()
