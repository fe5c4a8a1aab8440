"""From an accepted event to the committed change, through the running product: `python bench/latency.py`.

Starts an installation with people and personas, then sends events over HTTP at an even pace. What is told of each run:
from the client's 202 until the commit of a change that the event caused is heard (PostgreSQL's NOTIFY or Redis, as an
open stream hears it), on one clock, and how late the leaves by time were committed while the load lasted.
"""

import argparse
import os
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import installation
import load
import made
import msgspec
from living import Living

from persona.lib import ids
from tests.e2e.calling import count
from tests.e2e.ordeal import descendants
from tests.stack import wait_for

LOG = """
select seq, at, cause, encode(trigger, 'hex'), profile_id, op from segments_change where project_id = %s and seq > %s
order by seq
"""
STORED = "select count(*) from ingestion_event where project_id = %s"
TICK = os.sysconf("SC_CLK_TCK")
WHALE, WHALE_EVENTS = 1, 20_000
LIVE = 200  # events a second beside what a scenario does
Json = dict[str, Any]


class Row(NamedTuple):
    """Of the change log, with the second at which its commit was heard."""

    seq: int
    at: int
    cause: str
    trigger: str | None
    profile: int
    op: str
    heard: float


class Run(NamedTuple):
    """What was sent, and what came of it."""

    began: float
    ended: float
    accepted: dict[str, float]  # uid of the event: when its 202 came
    posted: list[float]  # ms from the POST to its 202
    log: list[Row]
    used: dict[str, float]  # seconds of processor, by program

    def taken(self, since: float = 0, until: float = float("inf")) -> list[float]:
        """Ms from a 202 to the commit of what that event changed; events accepted between the two instants."""
        heard = {row.trigger: row.heard for row in reversed(self.log) if row.trigger in self.accepted}
        both = ((self.accepted[uid], at) for uid, at in heard.items() if uid is not None)
        return [(at - accepted) * 1_000 for accepted, at in both if since <= accepted <= until]

    def lateness(self) -> list[float]:
        """Ms from the exact instant of a leave or enter by time to its commit, of those due while the load lasted."""
        timely = (row for row in self.log if row.cause == "time" and self.began <= row.at / 1_000 <= self.ended)
        return [row.heard * 1_000 - row.at for row in timely]


class Bench:
    """One installation and its load."""

    def __init__(self, living: Living, redis_url: str) -> None:
        self.living = living
        self.load = load.Load(living.stack.url, living.stack.secret_key)
        self.bells = load.Bells(living.stack.database_url, redis_url)
        self.dice = random.Random(3)
        self._n = 0

    def event(self, profile: int, name: str = "") -> Json:
        """As in the past of these people. It happens when it is received."""
        self._n += 1
        value = round(self.dice.random() * 100, 2)
        return {
            "type": "track", "userId": f"person{profile}", "messageId": f"bench-{self._n}",
            "event": name or made.NAMES[int(20 * self.dice.random() ** 1.5)],
            "properties": {"value": value, "path": f"/{self._n % 50}", "category": self.dice.choice("abcde")},
            "context": {"locale": "tr-TR", "page": {"path": "/"}},
        }  # fmt: skip

    def run(self, batches: Sequence[list[Json]], rate: float, what: str) -> Run:
        """Send those batches, `rate` a second, and wait until everything has been judged."""
        requests = [self.load.request(msgspec.json.encode({"batch": batch})) for batch in batches]
        events = sum(map(len, batches))
        stored, head, before = self.living.number(STORED), self.living.head, self.processors()
        began = time.time()
        sent = self.load.run(requests, rate)
        ended = time.time()
        self.living.at_rest()
        used = {name: seconds - before[name] for name, seconds in self.processors().items()}
        accepted = {
            ids.event_uid(event["messageId"]).hex(): one.accepted
            for one, batch in zip(sent, batches, strict=True)
            for event in batch
        }
        posted = [(one.accepted - one.at) * 1_000 for one in sent]
        run = Run(began, ended, accepted, posted, self.log(head), used)
        assert self.living.number(STORED) == stored + events
        self.living.assert_no_gap()
        self.say(what, run, events)
        return run

    def log(self, after: int) -> list[Row]:
        rows = self.living.rows(LOG, after)
        time.sleep(0.2)  # the last bell may still be on its way
        return [
            Row._make((*row, heard)) for row, heard in zip(rows, self.bells.of([row[0] for row in rows]), strict=True)
        ]

    def say(self, what: str, run: Run, events: int) -> None:
        seconds = run.ended - run.began
        made.row(what, f"{events / seconds:,.0f} events/s", f"{seconds:.0f} s, all stored, log without a gap")
        told("202 after", run.posted)
        told("202 -> change committed", run.taken())
        told("timers committed late by", run.lateness())
        parts = ", ".join(f"{name} {used / seconds:.0%}" for name, used in run.used.items())
        print(f"    of a processor: generator {self.load.cpu / seconds:.0%}, {parts};", end=" ")
        print(f"a request was sent late by {self.load.late * 1_000:.0f} ms at most", flush=True)

    def processors(self) -> dict[str, float]:
        """Seconds of processor that each program and its children have used."""
        return {name: cpu([pid, *descendants(pid)]) for name, pid in self.living.stack.pids.items()}

    # --- the scenarios ---

    def distinct(self, rate: int, seconds: float, what: str) -> Run:
        """One event a request, everybody once before anybody comes twice."""
        return self.run([[self.event(one)] for one in self.people(rate * seconds)], rate, what)

    def bursts(self, rate: int, seconds: float, what: str) -> Run:
        """Five events of one profile a request."""
        batches = [[self.event(one) for _ in range(5)] for one in self.people(rate * seconds / 5)]
        return self.run(batches, rate / 5, what)

    def people(self, wanted: float) -> list[int]:
        found: list[int] = []
        while len(found) < wanted:
            found += self.dice.sample(range(WHALE + 1, self.living.size.profiles + 1), self.living.size.profiles - 1)
        return found[: int(wanted)]

    def whale(self, seconds: float) -> None:
        """One profile with very many events in a window, and those who share its shard."""
        living = self.living
        mates = [one for one in self.people(living.size.profiles - 1) if living.shard(one) == living.shard(WHALE)]
        neighbors = [mates[n % len(mates)] for n in range(int(LIVE * seconds))]
        self.run([[self.event(one)] for one in neighbors], LIVE, f"one shard alone, {LIVE}/s")
        flood = [[self.event(WHALE, "page_viewed") for _ in range(250)] for _ in range(WHALE_EVENTS // 250)]
        self.run(flood, 20, f"one profile, {WHALE_EVENTS:,} events of one name")
        both = [[self.event(one)] for one in neighbors]
        for place in range(0, len(both), LIVE // 20):  # twenty a second are the whale's
            both[place] = [self.event(WHALE, "page_viewed")]
        self.run(both, LIVE, f"its shard with 20/s of its own, {LIVE}/s")
        living.create([{"v": 1, "rule": count("page_viewed", 9_999, "P7D")}], "whale")
        path = f"{living.caller.root}/personas/whale0/explain?profile=person{WHALE}"
        (leaf,) = living.caller.ask("GET", path).json()["rule"]["of"]
        print(f"    explain says: actual {leaf['actual']}, capped {leaf['capped']}")

    def crowd(self, people: int, window: int) -> None:
        """Everybody's window ends within the same second, while events go on."""
        base = int(time.time() * 1_000)
        instants = self.living.crowd(people, base)
        self.living.create([{"v": 1, "rule": count("visited", 1, f"PT{window}S")}], "crowd")
        due = base / 1_000 + window
        print(f"    {people:,} are members, {due - time.time():.0f} s before the first of them leaves", flush=True)
        assert time.time() < due - 1, "the window is too short for this machine: --window"
        wait_for(lambda: time.time() > due - 3, "their second", window)
        run = self.distinct(LIVE, 30, f"{people:,} leaves in one second, {LIVE}/s")
        leaves = [row for row in run.log if row.profile in instants and row.cause == "time"]
        assert {row.profile: row.at for row in leaves} == {one: ts + window * 1_000 for one, ts in instants.items()}
        assert len(leaves) == people
        done = max(row.heard for row in leaves)
        told("202 -> change, until all have left", run.taken(due, done))
        told("a leave committed late by", [row.heard * 1_000 - row.at for row in leaves])
        print(f"    all left {done - due - 1:.1f} s after the last was due, each at its exact instant", flush=True)


def told(what: str, values: list[float]) -> None:
    if values:
        p50, p99 = (centile(values, part) for part in (0.5, 0.99))
        print(
            f"    {what:36} p50 {p50:7.1f}  p99 {p99:7.1f}  max {max(values):7.1f} ms   n {len(values):,}", flush=True
        )


def centile(values: list[float], part: float) -> float:
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def cpu(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue  # it has ended meanwhile
        total += int(words[11]) + int(words[12])
    return total / TICK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.arguments(parser, events=400_000, profiles=20_000)
    parser.add_argument(
        "--redis", action="store_true", help="with a redis-server of our own instead of PostgreSQL alone"
    )
    parser.add_argument("--workers", type=int, default=2, choices=range(1, 9), metavar="1..8")
    parser.add_argument("--rate", type=int, default=5_000, help="events a second in the bursts")
    parser.add_argument("--seconds", type=float, default=15, help="of each load")
    parser.add_argument("--only", default="distinct,bursts,whale", help="of distinct, bursts, whale")
    parser.add_argument("--leaves", type=int, default=0, help="so many memberships that end within the same second")
    parser.add_argument("--window", type=int, default=60, help="seconds from their events to the leaves")
    given = parser.parse_args()
    with ExitStack() as stack:
        redis_url = stack.enter_context(installation.redis()) if given.redis else ""
        settings = {"PERSONA_INGEST_RATE": "0", "PERSONA_WORKERS": str(given.workers)}
        running = stack.enter_context(
            installation.installation(**settings, **({"REDIS_URL": redis_url} if redis_url else {}))
        )
        bench = Bench(Living(running, made.size(given)), redis_url)
        measure(bench, given)
        for line in running.log.splitlines():
            if '"level": "' in line:  # warnings and errors: there should be none
                print(line)


def measure(bench: Bench, given: argparse.Namespace) -> None:
    rung = f"{'Redis' if given.redis else 'embedded'}, {given.workers} worker(s)"
    print(f"{rung}: {made.load()}", flush=True)
    bench.distinct(500, 3, "warming up")
    if "distinct" in given.only:
        bench.distinct(1_000, given.seconds, "1,000/s of distinct profiles")
    if "bursts" in given.only:
        bench.bursts(given.rate, given.seconds, f"{given.rate:,}/s in bursts of 5")
    if "whale" in given.only:
        bench.whale(given.seconds)
    if given.leaves:
        bench.crowd(given.leaves, given.window)


if __name__ == "__main__":
    main()
