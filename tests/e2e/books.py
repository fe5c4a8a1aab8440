"""What the database holds after everything that happened, and whether it is what it has to be. Plain SQL and Python:
nothing here knows how the product counts."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import psycopg

from persona.lib.clock import parse_instant, rfc3339
from tests.e2e.calling import Json

Database = psycopg.Connection[Any]
Ids = frozenset[str]

EVENTS = """
select encode(e.uid, 'hex'), e.ts, e.props->>'value' from ingestion_event e
join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
where e.project_id = %s and n.name = any(%s)
"""
CHANGES = """
select c.seq, c.profile_id, c.persona_id, p.public_id, s.slug, c.op, c.at, c.cause, c.version, c.silent
from segments_change c
left join ingestion_profile p on p.project_id = c.project_id and p.id = c.profile_id
left join segments_persona s on s.id = c.persona_id
where c.project_id = %s order by c.seq
"""
MEMBERS = """
select m.profile_id, m.persona_id, s.slug, array(
    select external_id from ingestion_alias a where a.project_id = m.project_id and a.profile_id = m.profile_id)
from segments_membership m join segments_persona s on s.id = m.persona_id
where m.project_id = %s and m.is_member
"""
PENDING = "select count(*) from ingestion_batch where project_id = %s"


class Change(NamedTuple):
    """A row of the log."""

    seq: int
    profile_id: int
    persona_id: int
    profile: str
    persona: str
    op: str
    at: int
    cause: str
    version: int
    silent: bool

    @property
    def frame(self) -> tuple[int, Json]:
        """As the stream has to send it."""
        data = {"profile": self.profile, "persona": self.persona, "op": self.op, "at": rfc3339(self.at)}
        return self.seq, {**data, "cause": self.cause, "version": self.version}


def project_id(database: Database, slug: str) -> int:
    row = database.execute("select id from keys_project where slug = %s", [slug]).fetchone()
    assert row is not None
    return int(row[0])


def changes(database: Database, project: int) -> list[Change]:
    return [Change(*row) for row in database.execute(CHANGES, [project])]


def assert_stored_once(database: Database, project: int, acknowledged: Collection[Json]) -> None:
    """Every acknowledged event is there with its instant and its value, none twice, and nothing else."""
    names = list({event["event"] for event in acknowledged})
    stored = sorted(database.execute(EVENTS, [project, names]).fetchall())
    sent = sorted(
        (_uid(event["messageId"]), parse_instant(event["timestamp"]), str(event["properties"]["value"]))
        for event in acknowledged
    )
    missing, twice = set(sent) - set(stored), len(stored) - len(set(stored))
    assert not missing, f"{len(missing)} of {len(sent)} acknowledged events are not stored: {sorted(missing)[:3]}"
    assert not twice, f"{twice} events are stored twice"
    assert stored == sent, "events are stored that were not sent"
    assert database.execute(PENDING, [project]).fetchone() == (0,)


def _uid(message_id: str) -> str:
    return hashlib.sha256(message_id.encode()).hexdigest()[:32]


def assert_log_is_state(database: Database, project: int) -> list[Change]:
    """Gap-free, alternating, `at` never going back; replayed, it is the membership table. Returns the log."""
    log = changes(database, project)
    head = database.execute("select last_seq from segments_head where project_id = %s", [project]).fetchone()
    assert head is not None
    assert [change.seq for change in log] == list(range(1, head[0] + 1))
    inside: set[tuple[int, int]] = set()
    latest: dict[tuple[int, int], int] = {}
    for change in log:
        pair = (change.profile_id, change.persona_id)
        assert (pair in inside) is (change.op == "leave"), f"row {change.seq} repeats {change.op}"
        assert change.at >= latest.get(pair, 0), f"row {change.seq} goes back in time"
        latest[pair] = change.at
        inside ^= {pair}
    assert {(profile, persona) for profile, persona, *_ in database.execute(MEMBERS, [project])} == inside
    return log


def assert_heard_once(heard: Iterable[tuple[int, Json]], start: int, log: Iterable[Change]) -> None:
    """Every change after `start` arrived once, in order, and said what the log says."""
    said = [change.frame for change in log if change.seq > start and not change.silent]
    got = list(heard)
    assert [number for number, _ in got] == [number for number, _ in said]
    assert got == said


def members(database: Database, project: int) -> dict[str, set[Ids]]:
    """The members of each persona, every one by all the ids that the outside knows."""
    found: dict[str, set[Ids]] = defaultdict(set)
    for _, _, slug, ids in database.execute(MEMBERS, [project]):
        found[slug].add(frozenset(ids))
    return found


def people(events: Iterable[Json]) -> dict[Ids, list[Json]]:
    """Whose events they are: two ids belong together if any event carries both."""
    together: dict[str, Ids] = {}
    for event in events:
        ids = frozenset(filter(None, (event.get("userId"), event.get("anonymousId"))))
        together |= {one: ids for one in ids if len(ids) > len(together.get(one, ()))}
    grouped: dict[Ids, list[Json]] = defaultdict(list)
    for event in events:
        grouped[together[event.get("userId") or event["anonymousId"]]].append(event)
    return grouped


def assert_exact_leaves(log: Iterable[Change], slug: str, window: int, whose: Mapping[int, Collection[int]]) -> int:
    """Each leave by time lies exactly `window` ms after an event of that profile; how many there are."""
    timely = [change for change in log if change.persona == slug and change.cause == "time"]
    for change in timely:
        assert change.at - window in whose[change.profile_id], f"row {change.seq} ends at no event's end"
    return len(timely)
