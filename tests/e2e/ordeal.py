"""Writers and a reader at an installation whose processes are killed, and the account that is asked for afterwards."""

import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psycopg

from persona.lib.clock import parse_instant
from tests.e2e import books
from tests.e2e.calling import Caller, Json, count
from tests.e2e.following import Follower
from tests.e2e.writing import DAY, Writer
from tests.stack import Stack, wait_for

HERE = 2_000  # ms, the window that ends all the time
BUSY, QUIET, SPENT = 16, 8, 60

Judged = Callable[[list[Json]], bool]


class Account(NamedTuple):
    """What happened, for people."""

    events: int
    answers: Counter[str]
    changes: int
    timely: int
    members: dict[str, int]
    connections: int


class Ordeal:
    """Personas of its own, then everything at once. `name` makes it the only one of its kind at this installation."""

    def __init__(self, stack: Stack, *, name: str, seed: int, writers: int, pace: float) -> None:
        self.stack = stack
        self.kills: Counter[str] = Counter()
        self.away: dict[str, list[float]] = defaultdict(list)  # seconds from a kill to the next acknowledgement
        self._caller = Caller(stack.url, stack.secret_key)
        self._name = name
        self._follower = Follower(self._caller, random.Random(seed))
        self._writers = [
            Writer(self._caller, name=f"{name}-{n}", dice=random.Random(seed * 1_000 + n), pace=pace)
            for n in range(writers)
        ]
        self._rules = self._personas()

    def _personas(self) -> dict[str, Judged]:
        """Create them; by slug, who is to be a member in the end, by a plain count."""

        def recent(events: list[Json], name: str) -> list[int]:
            since = time.time_ns() // 1_000_000 - DAY
            return [
                event["properties"]["value"]
                for event in events
                if event["event"] == name and (parse_instant(event["timestamp"]) or 0) > since
            ]

        never = {"op": "not", "of": count("complained", 1, "P1D")}
        spent = count("bought", SPENT, "P1D", agg={"fn": "sum", "prop": "value"})
        rules: dict[str, tuple[Json, Judged]] = {
            "busy": (count("viewed", BUSY, "P1D"), lambda events: len(recent(events, "viewed")) >= BUSY),
            "spender": (spent, lambda events: sum(recent(events, "bought")) >= SPENT),
            "content": (
                {"op": "all", "of": [count("viewed", QUIET, "P1D"), never]},
                lambda events: len(recent(events, "viewed")) >= QUIET and not recent(events, "complained"),
            ),
            "here": (count("viewed", 1, f"PT{HERE // 1_000}S"), lambda _: False),
        }
        return {self._caller.persona(f"{self._name}-{slug}", rule): judged for slug, (rule, judged) in rules.items()}

    # --- while it lasts ---

    def start(self) -> None:
        self._follower.start()
        for writer in self._writers:
            writer.start()

    @property
    def batches(self) -> int:
        """Acknowledged so far. Raises what went wrong with a writer or the reader."""
        for failure in (self._follower.failure, *(writer.failure for writer in self._writers)):
            if failure is not None:
                raise failure
        return sum(writer.batches for writer in self._writers)

    def wait_for_batches(self, more: int) -> None:
        enough = self.batches + more
        wait_for(lambda: self.batches >= enough, f"{more} more acknowledged batches")

    def crash(self, *names: str) -> None:
        """SIGKILL for those and all their children at once; returns when they have successors and batches come in."""
        old = {name: self.stack.pids[name] for name in names}
        acknowledged, since = self.batches, time.monotonic()
        kill([pid for first in old.values() for pid in (first, *descendants(first))])
        for name, pid in old.items():
            wait_for(lambda name=name, pid=pid: self.stack.pids.get(name, pid) != pid, f"a new {name}")  # type: ignore[misc]  # bound at once
        wait_for(lambda: self.batches > acknowledged + len(self._writers), f"batches after the end of {names}")
        self.kills.update(names)
        self.away["+".join(names)].append(time.monotonic() - since)

    def wait_for_a_change(self, seconds: float) -> float:
        """Seconds until something that happens now is judged, and heard."""
        since, mark = time.monotonic(), time.time_ns() // 1_000_000
        wait_for(lambda: self.batches and self._follower.heard_at > mark, "a change on the stream", seconds)
        return time.monotonic() - since

    # --- and afterwards ---

    def finish(self) -> Account:
        """Stop writing, wait until all is judged and every timer of `here` has fired, and check the books."""
        for writer in self._writers:
            writer.stop()
        wait_for(lambda: self._at_rest(f"{self._name}-here"), "everything to be applied and judged")
        with psycopg.connect(self.stack.database_url) as database:
            return self.checked(database)

    def checked(self, database: books.Database) -> Account:
        """Raises AssertionError for whatever is not as it must be."""
        sent = [event for writer in self._writers for event in writer.acknowledged]
        project = books.project_id(database, "demo")
        books.assert_stored_once(database, project, sent)
        log = books.assert_log_is_state(database, project)
        self._follower.stop_at(log[-1].seq)
        books.assert_heard_once(self._follower.changes, self._follower.start_at or 0, log)
        sizes = self._assert_members(database, project, sent)
        timely = books.assert_exact_leaves(log, f"{self._name}-here", HERE, instants(database, project, sent))
        answers = sum((writer.answers for writer in self._writers), Counter[str]())
        return Account(len(sent), answers, len(self._follower.changes), timely, sizes, self._follower.connections)

    def _at_rest(self, here: str) -> bool:
        persona = self._caller.ask("GET", f"{self._caller.root}/personas/{here}")
        return persona.status == 200 and persona.json()["lag_ms"] == persona.json()["size"] == 0

    def _assert_members(self, database: books.Database, project: int, sent: Collection[Json]) -> dict[str, int]:
        everybody = books.people(sent)
        found = books.members(database, project)
        for slug, judged in self._rules.items():
            expected = {ids for ids, events in everybody.items() if judged(events)}
            assert found[slug] == expected, f"{slug}: {len(found[slug])} members, {len(expected)} by a plain count"
        return {slug: len(found[slug]) for slug in self._rules}


def instants(database: books.Database, project: int, sent: Iterable[Json]) -> dict[int, set[int]]:
    """By profile: when it viewed something, merged profiles included."""
    sql = """
        select a.external_id, p.id from ingestion_alias a
        join ingestion_profile p on p.project_id = a.project_id
            and (p.id = a.profile_id or p.merged_into = a.profile_id)
        where a.project_id = %s
    """
    profiles: dict[str, list[int]] = defaultdict(list)
    for external, profile in database.execute(sql, [project]):
        profiles[external].append(profile)
    found: dict[int, set[int]] = defaultdict(set)
    for event in sent:
        if event["event"] == "viewed":
            for profile in profiles[event.get("userId") or event["anonymousId"]]:
                found[profile].add(parse_instant(event["timestamp"]) or 0)
    return found


def descendants(pid: int) -> list[int]:
    """All children, of whichever thread, and theirs."""
    children: list[str] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            children += thread.read_text().split()
    return [one for child in map(int, children) for one in (child, *descendants(child))]


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it followed its parent already
            os.kill(pid, signal.SIGKILL)
