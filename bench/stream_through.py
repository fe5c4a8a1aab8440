"""From a POST to the frame at a client, through web, worker and stream: `python bench/stream_through.py [--redis]`.

Each event is a new user's, who enters one persona by it. Then the same with the worker stopped and a plain loop in its
place, without Celery and its queue: what is left is the floor.
"""

import argparse
import multiprocessing
import os
import re
import signal
import socket
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import installation
import load
import msgspec
import psycopg

from tests.e2e.calling import Caller, count
from tests.e2e.ordeal import descendants
from tests.stack import Stack

PEOPLE = """
select a.external_id, p.public_id from ingestion_alias a
join ingestion_profile p on p.project_id = a.project_id and p.id = a.profile_id where a.kind = 'user'
"""
FRAME = re.compile(rb'"profile":"([^"]+)".*\n\n')
SILENCE = 3.0  # seconds without a frame: that was all


def listen(url: str, key: str, pipe: Connection) -> None:
    """When each profile's frame was read, in seconds of the machine's clock; then ends."""
    address = urlsplit(url)
    heard: dict[str, float] = {}
    head = f"GET /api/v2/pipeline/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
    with socket.create_connection((address.hostname or "", address.port or 80)) as stream:
        stream.sendall(head.encode())
        stream.recv(65_536)
        pipe.send("ready")
        rest = b""
        while not pipe.poll():
            stream.settimeout(SILENCE)
            try:
                rest += stream.recv(1 << 18)
            except TimeoutError:
                continue
            now, end = time.time(), 0
            for match in FRAME.finditer(rest):
                heard[match[1].decode()] = now
                end = match.end()
            rest = rest[end:]
    pipe.send(heard)


class Bench:
    """One installation with one persona that everybody enters with the first event."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.load = load.Load(stack.url, stack.secret_key)
        self._n = 0
        Caller(stack.url, stack.secret_key).persona("buyers", count("bought", 1, "P1D"))

    def run(self, what: str, *, events: int, rate: float) -> float:
        """Tell and return the median, in ms."""
        users = [f"u-{self._n + number}" for number in range(events)]
        self._n += events
        ours, theirs = multiprocessing.Pipe()
        arguments = (self.stack.url, self.stack.secret_key, theirs)
        reader = multiprocessing.get_context("fork").Process(target=listen, args=arguments, daemon=True)
        reader.start()
        ours.recv()
        sent = self.load.run([self.load.request(body(user)) for user in users], rate)
        time.sleep(SILENCE)
        ours.send("enough")
        heard: dict[str, float] = ours.recv()
        reader.join()
        with psycopg.connect(self.stack.database_url) as database:
            public: dict[str, str] = dict(database.execute(PEOPLE).fetchall())
        missing = [user for user in users if public[user] not in heard]
        assert not missing, f"{len(missing)} never came"
        taken = [(heard[public[user]] - one.at) * 1_000 for user, one in zip(users, sent, strict=True)]
        cuts = statistics.quantiles(taken, n=100)
        print(f"{what:34} p50 {cuts[49]:6.1f} ms  p99 {cuts[98]:6.1f} ms  longest {max(taken):6.1f} ms", flush=True)
        return cuts[49]


def body(user: str) -> bytes:
    event = {"type": "track", "event": "bought", "userId": user, "messageId": user, "properties": {"value": 1}}
    return msgspec.json.encode({"batch": [event]})


@contextmanager
def plain_loop(stack: Stack, redis_url: str) -> Iterator[None]:
    """Instead of the worker."""
    worker = stack.pids["worker"]
    stopped = [worker, *descendants(worker)]
    environment = {**os.environ, "DATABASE_URL": stack.database_url, "REDIS_URL": redis_url}
    pid = os.posix_spawn(sys.executable, [sys.executable, __file__, "--as-loop"], environment)
    for each in stopped:
        os.kill(each, signal.SIGSTOP)
    try:
        time.sleep(2)
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for each in stopped:
            os.kill(each, signal.SIGCONT)


def as_loop() -> None:
    """Apply and evaluate for ever."""
    import django

    django.setup()
    from ingestion.tasks import apply_some
    from segments.evaluator import evaluate_some

    while True:
        if not apply_some() + evaluate_some():
            time.sleep(0.001)


def scenarios(bench: Bench, what: str, given: argparse.Namespace) -> Sequence[float]:
    quiet = [bench.run(f"{what}, 20/s", events=200, rate=20) for _ in range(given.runs)]
    return [min(quiet), bench.run(f"{what}, 1,000/s", events=8_000, rate=1_000)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--redis", action="store_true", help="instead of the embedded queue and bell")
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--as-loop", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.as_loop:
        as_loop()
    with ExitStack() as held:
        url = held.enter_context(installation.redis()) if given.redis else ""
        stack = held.enter_context(installation.installation(PERSONA_INGEST_RATE="0", REDIS_URL=url))
        bench = Bench(stack)
        bench.run("to warm up", events=500, rate=100)
        name = "Redis" if given.redis else "embedded"
        product = scenarios(bench, name, given)
        with plain_loop(stack, url):
            floor = scenarios(bench, f"{name}, plain loop", given)
        ratios = ", ".join(f"{one / other:.2f}" for one, other in zip(product, floor, strict=True))
        print(f"the product's p50 in plain loops' (20/s, 1,000/s): {ratios}")


if __name__ == "__main__":
    main()
