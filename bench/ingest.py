"""How much ingest takes and stores, beside what the machine can do: `python bench/ingest.py`. About five minutes.

Starts all it needs on 127.0.0.1 (a PostgreSQL with fsync, the servers, a client in C) and prints a table with ratios.
`--part accept` is what is answered, `--part stored` what is stored, sustained. Needs cc, and pgbench for one line.
"""

import argparse
import os
import time
from typing import Any

from installation import database, folder
from serving import BARE, BATCH, HERE, Bench, Load, Server, ours, pgbench, uvicorn

# Four of the demo's personas; the fifth asks for a trait that these events do not set.
DEMO = ("browsing_now", "high_intent", "cart_waiting", "sale_or_big_spender")


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
    forget_waiting()
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


def forget_waiting() -> None:
    """What was only to be accepted: applying it is another part's business."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("truncate ingestion_batch")


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
    from persona.demo.personas import PERSONAS
    from segments import backfill
    from segments.evaluator import evaluate_some
    from segments.services import create_persona

    with ours(workers=False) as (server, port):
        bench.run(server, port, connections=8, seconds=1.5, events=BATCH)  # nearly all of the 100,000 come
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
