"""From a committed change to its delivery, through the running product: `python bench/deliver.py --changes 10000`.

Starts an installation with webhooks to receivers in a process of their own, then sends events of as many people as
changes are wanted. Told: deliveries a second, and from the commit of a change (PostgreSQL's own note of it) to the
arrival of its delivery, on one machine's clock. With --bad, one more destination never answers.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import time
import urllib.request
from multiprocessing.connection import Connection
from typing import Any

import installation
import msgspec
import psycopg

from tests.stack import Stack, wait_for

RULE = {"v": 1, "rule": {"op": "event", "event": "came", "cmp": "gte", "value": 1, "window": {"last": "P1D"}}}
BATCH = 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--destinations", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1, help="changes a request")
    parser.add_argument("--rate", type=int, default=0, help="events a second; 0: as fast as they are taken")
    parser.add_argument("--bad", action="store_true", help="one more destination that hangs")
    given = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    port = ours.recv()
    with installation.installation(PERSONA_ALLOW_PRIVATE_DESTINATIONS="1", PERSONA_DEMO="0") as stack:
        note_commits(stack)
        ask(stack, "personas", {"slug": "came", "rule": RULE})
        for number in range(given.destinations):
            url, settings = f"http://127.0.0.1:{port}/{number}", {"batch": given.batch}
            ask(stack, "destinations", {"kind": "webhook", "name": f"{number}", "url": url, "settings": settings})
        if given.bad:
            ask(stack, "destinations", {"kind": "webhook", "name": "bad", "url": f"http://127.0.0.1:{port}/bad"})
        started = time.time()
        send(stack, given.changes, given.rate)
        wanted = given.changes * given.destinations
        wait_for(lambda: count(ours) >= wanted, f"{wanted} deliveries", 280)
        report(ours, commits(stack), started, wanted)
    receiver.terminate()


def note_commits(stack: Stack) -> None:
    """Has PostgreSQL keep the time of each commit, for which it must be started again."""
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        database.execute("alter system set track_commit_timestamp = on")
    stack.kill("postgres")
    wait_for(lambda: is_ready(stack), "the installation to be ready again", 30)


def is_ready(stack: Stack) -> bool:
    try:
        with urllib.request.urlopen(f"{stack.url}/ready", timeout=2) as answer:  # noqa: S310 - our own server
            return bool(answer.status == 200)
    except OSError:
        return False


def commits(stack: Stack) -> dict[int, float]:
    """By the number of the change, when it was committed; ms since 1970."""
    with psycopg.connect(stack.database_url) as database:
        found = database.execute("select seq, extract(epoch from pg_xact_commit_timestamp(xmin)) from segments_change")
        return {number: float(at) * 1000 for number, at in found}


def send(stack: Stack, people: int, rate: int) -> None:
    started = time.monotonic()
    size = min(BATCH, max(1, rate // 20)) if rate else BATCH
    for first in range(0, people, size):
        events = [
            {"type": "track", "event": "came", "userId": f"p{n}"} for n in range(first, min(first + size, people))
        ]
        post(f"{stack.url}/api/v2/pipeline/ingest", stack.secret_key, {"batch": events})
        if rate:
            time.sleep(max(0.0, started + (first + size) / rate - time.monotonic()))


def ask(stack: Stack, path: str, body: Any) -> None:
    post(f"{stack.url}/api/projects/{stack.running.project}/{path}", stack.secret_key, body)


def post(url: str, key: str, body: Any) -> None:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(url, msgspec.json.encode(body), headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
        answer.read()


def count(pipe: Connection) -> int:
    pipe.send("count")
    return int(pipe.recv())


def report(pipe: Connection, committed: dict[int, float], started: float, wanted: int) -> None:
    pipe.send("report")
    got, doubles = pipe.recv()
    delays = [at * 1000 - committed[number] for (_, number), at in got.items()]
    seconds = max(got.values()) - started
    print(f"{wanted} deliveries in {seconds:.1f} s: {wanted / seconds:.0f}/s; {doubles} doubled")
    quantiles = statistics.quantiles(delays, n=100)
    shown = ", ".join(f"p{place} {quantiles[place - 1]:.0f} ms" for place in (50, 95, 99))
    print(f"from the commit of the change to the delivery's arrival: {shown}")


# --- the receivers' process ---


def receive(pipe: Connection) -> None:
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    got: dict[tuple[str, int], float] = {}
    doubles = [0]

    def note(path: str, message: Any, now: float) -> None:
        if (path, message["seq"]) in got:
            doubles[0] += 1
            return
        got[path, message["seq"]] = now

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                length = next(
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                )
                document = msgspec.json.decode(await reader.readexactly(length))
                if path == "/bad":
                    await asyncio.sleep(60)
                for message in document.get("messages", [document]):
                    note(path, message, time.time())
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    while True:
        asked = await asyncio.to_thread(pipe.recv)
        pipe.send(len(got) if asked == "count" else (got, doubles[0]))


if __name__ == "__main__":
    main()
