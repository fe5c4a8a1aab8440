"""A running installation as it is after some months: people with a past, and a hundred personas that are live."""

import time
from typing import Any

import installation
import made
import psycopg

from persona.lib import ids
from tests.e2e.calling import Caller, count
from tests.stack import Stack, wait_for

DAY = 86_400_000
KNOWN = """
insert into ingestion_alias (project_id, kind, external_id, profile_id)
select %(project)s, 'user', 'person' || id, id from ingestion_profile where project_id = %(project)s and id > %(after)s
"""
NUMBERED = "select setval('ingestion_profile_id_seq', (select max(id) from ingestion_profile))"
ONCE = """
with people as (
    insert into ingestion_profile (project_id, id, public_id, identified, shard, first_seen, last_seen)
    select %(project)s, %(after)s + n, 'u_' || %(after)s + n, true, shard, %(base)s, %(base)s
    from unnest(%(shards)s) with ordinality r(shard, n)
), named as (
    insert into ingestion_eventname select %(project)s, 1 + max(id), 'visited' from ingestion_eventname
    where project_id = %(project)s returning id
)
insert into ingestion_event (project_id, profile_id, name_id, ts, received_at, uid, props)
select %(project)s, %(after)s + n, named.id, ts, ts, decode(md5(n::text), 'hex'), '{}'
from unnest(%(instants)s::bigint[]) with ordinality r(ts, n), named
"""

WHOLE = """
select count(*), min(c.seq), max(c.seq), h.last_seq
from segments_change c join segments_head h on h.project_id = c.project_id where c.project_id = %s group by h.last_seq
"""


def rules(personas: int) -> list[made.Json]:
    """Those of the other benches, and some that end within seconds or stand on another persona."""
    short = [
        {"v": 1, "rule": count("signed_in", 1, "PT5S")},
        {"v": 1, "rule": count("order_placed", 50, "PT10S", agg={"fn": "sum", "prop": "value"})},
        {"v": 1, "rule": {"op": "member", "persona": "p3"}},
        {"v": 1, "rule": {"op": "all", "of": [{"op": "member", "persona": "p5"}, count("page_viewed", 3, "P1D")]}},
    ]
    return made.rules(personas - len(short)) + short


class Living:
    """The installation, and a connection to its database that knows nothing of Django."""

    def __init__(self, stack: Stack, size: made.Size) -> None:
        installation.connect(stack.database_url)
        from keys.models import Project

        self.stack, self.size = stack, size
        self.caller = Caller(stack.url, stack.secret_key)
        project = Project.objects.get(slug="demo")
        self.project: int = project.pk
        self.shards = project.shards
        self.database = psycopg.connect(stack.database_url, autocommit=True)
        made.fill(size, project)
        self._know(0)
        self.create(rules(size.personas))
        # Or the vacuum that so many rows at once call for would run beside what is measured.
        self.database.execute("vacuum analyze segments_membership, segments_change")

    def _know(self, after: int) -> None:
        self.database.execute(KNOWN, {"project": self.project, "after": after})
        self.database.execute(NUMBERED)
        # Not the empty tables: as if they always were, PostgreSQL would read them whole while they fill.
        self.database.execute("vacuum analyze ingestion_event, ingestion_profile, ingestion_alias, ingestion_eventname")

    def create(self, some: list[made.Json], prefix: str = "p") -> None:
        """Through the API; returns when everybody has been judged."""
        started = time.monotonic()
        for number, rule in enumerate(some):
            body = {"slug": f"{prefix}{number}", "rule": rule}
            answer = self.caller.ask("POST", f"{self.caller.root}/personas", body)
            assert answer.status == 201, answer
        wait_for(self._all_live, "the backfill", 600)
        print(f"{len(some)} personas made, live {time.monotonic() - started:.0f} s later", flush=True)

    def _all_live(self) -> bool:
        left = self.number("select count(*) from segments_persona where project_id = %s and status <> 'live'")
        return left == 0

    def shard(self, profile: int) -> int:
        return ids.shard_of(self.project, profile, self.shards)

    def crowd(self, people: int, base: int) -> dict[int, int]:
        """So many more profiles, each with one event `visited` in the second from `base` on; its instant, ms."""
        after = self.number("select max(id) from ingestion_profile where project_id = %s")
        instants = {after + 1 + n: base + n * 1_000 // people for n in range(people)}
        given = {
            "project": self.project, "after": after, "base": base,
            "shards": [self.shard(profile) for profile in instants], "instants": list(instants.values()),
        }  # fmt: skip
        self.database.execute(ONCE, given)
        self._know(after)
        return instants

    # --- what it says ---

    def rows(self, statement: str, *more: object) -> list[tuple[Any, ...]]:
        """Of one statement whose first parameter is the project."""
        return self.database.execute(statement.encode(), [self.project, *more]).fetchall()

    def number(self, statement: str, *more: object) -> int:
        return int(self.rows(statement, *more)[0][0] or 0)

    @property
    def head(self) -> int:
        return self.number("select last_seq from segments_head where project_id = %s")

    def at_rest(self, seconds: float = 120) -> None:
        """Wait until all that was accepted is applied and judged, and no timer is due."""

        def rested() -> bool:
            return bool(self.caller.get("/personas/p0")["lag_ms"] == 0)

        wait_for(rested, "everything to be judged", seconds)

    def assert_no_gap(self) -> None:
        """The log holds every number once, from 1 to the head."""
        rows = self.rows(WHOLE)
        assert all(count == last == head and first == 1 for count, first, last, head in rows), rows
