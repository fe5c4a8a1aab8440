"""Evaluate: the stale profiles and due timers of one project's lanes, in one transaction.

Any number of workers may run this. The lanes' row locks keep the order per profile; a crash rolls back and the work
is there again. What is written goes through segments.changes.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
from django.db import connection, transaction
from psycopg import Cursor
from psycopg.pq import Format

from ingestion import stale
from ingestion.stale import Mark
from persona.lib import ids
from persona.lib.log import get_logger
from segments import changes, definitions, facts, lookups
from segments.changes import Decided
from segments.definitions import Definition, Definitions
from segments.facts import Wanted
from segments.judge import MERGE, NOBODY, Current, Flip, Verdict, judge
from segments.rules import Facts

MARK_ROWS = 256  # stale rows a turn: about as many apply transactions
TIMERS = 2_000  # due timers a turn

CANDIDATES = """
select project_id from (
    select distinct project_id from ingestion_staleprofiles
    union
    select l.project_id from segments_lane l where exists (
        select from segments_membership m where m.project_id = l.project_id and m.shard = l.shard
            and m.recheck_at <= floor(extract(epoch from statement_timestamp()) * 1000)::bigint)
) waiting order by project_id <= %s, project_id
"""
LOCK = """
select shard from segments_lane l where project_id = %s and (
    exists (select from ingestion_staleprofiles s where s.project_id = l.project_id and s.shard = l.shard)
    or exists (
        select from segments_membership m where m.project_id = l.project_id and m.shard = l.shard
            and m.recheck_at <= floor(extract(epoch from statement_timestamp()) * 1000)::bigint))
order by shard for update of l skip locked
"""
CLAIM = """
delete from ingestion_staleprofiles where project_id = %(project)s and (shard, id) in (
    select shard, id from ingestion_staleprofiles
    where project_id = %(project)s and shard = any(%(shards)s) order by id limit %(most)s)
returning items
"""
DUE = """
select profile_id, persona_id, recheck_at from segments_membership
where project_id = %s and shard = any(%s) and recheck_at <= %s order by recheck_at limit %s
"""
CURRENT = """
select profile_id, persona_id, is_member, since, version, recheck_at from segments_membership
where project_id = %s and profile_id = any(%s::bigint[])
"""
CURRENT_OF = f"{CURRENT} and persona_id = any(%s::bigint[])"
NOW = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint"

Rows = Cursor[tuple[Any, ...]]
Pair = tuple[int, int]  # profile id, persona id


class Work(msgspec.Struct):
    """What one turn has claimed: marks by profile, due instants by pair, and the clock after the claim."""

    project_id: int
    shards: list[int]
    marks: dict[int, Mark]
    due: dict[Pair, int]
    now: int
    failed: set[int] = msgspec.field(default_factory=set)  # personas whose rule could not be judged


log = get_logger(__name__)

_last_project = 0  # projects take turns in this process


def evaluate_some() -> int:
    """One turn: the profiles and timers judged; 0 when there was nothing to do or others hold the lanes."""
    global _last_project
    for project_id in _candidates():
        with transaction.atomic():
            work = _claim(project_id)
            if work is not None:
                _last_project = project_id
                _evaluate(work)
        if work is not None:
            definitions.set_aside(work.project_id, work.failed)
            return len(work.marks) + len(work.due)
    return 0


def marks_wait() -> bool:
    """Whether any profile waits to be judged for something that happened to it."""
    with raw_cursor() as cursor:
        cursor.execute("select exists (select from ingestion_staleprofiles)")
        return bool((cursor.fetchone() or (False,))[0])


def raw_cursor() -> Rows:
    """A cursor of psycopg's own on Django's connection: parameters at the server, prepared statements, binary rows."""
    connection.ensure_connection()
    cursor: Rows = Cursor(connection.connection)
    cursor.format = Format.BINARY
    return cursor


def clock(cursor: Rows) -> int:
    """The database's clock, ms, rounded down: read it after the claim, so that no event of it is later."""
    cursor.execute(NOW)
    (now,) = cursor.fetchone() or (0,)
    return int(now)


def _candidates() -> list[int]:
    with raw_cursor() as cursor:
        cursor.execute(CANDIDATES, (_last_project,))
        return [project_id for (project_id,) in cursor.fetchall()]


def _claim(project_id: int) -> Work | None:
    with raw_cursor() as cursor:
        cursor.execute(LOCK, (project_id,))
        shards = [shard for (shard,) in cursor.fetchall()]
        if not shards:
            return None
        cursor.execute(CLAIM, {"project": project_id, "shards": shards, "most": MARK_ROWS})
        marks = united(mark for (items,) in cursor.fetchall() for mark in stale.decode(items))
        now = clock(cursor)
        cursor.execute(DUE, (project_id, shards, now, TIMERS))
        due = {(profile, persona): recheck for profile, persona, recheck in cursor.fetchall()}
    return Work(project_id, shards, marks, due, now) if marks or due else None


def united(marks: Iterable[Mark]) -> dict[int, Mark]:
    """One mark per profile: what happened is united, the trigger is the event received last."""
    by_profile: dict[int, Mark] = {}
    for mark in marks:
        other = by_profile.get(mark.profile)
        if other is not None:
            newest = max(mark, other, key=lambda m: (m.received_at, m.ts, m.uid))
            mark = msgspec.structs.replace(
                newest, what=mark.what | other.what, names=tuple(sorted({*mark.names, *other.names}))
            )
        by_profile[mark.profile] = mark
    return by_profile


def _evaluate(work: Work) -> None:
    with raw_cursor() as cursor:
        defined = definitions.of_project(cursor, work.project_id)
        current = stored(cursor, work.project_id, {*work.marks, *(profile for profile, _ in work.due)})
        touched = _touched(work, defined, current)
        known = facts.gather(
            cursor, work.project_id, _wanted(work, defined, touched, current), retention=defined.retention, now=work.now
        )
        decided = [
            one
            for profile, personas in touched.items()
            if profile in known and known[profile].merged_into is None
            for one in _decide(work, defined, profile, personas, known[profile], current)
        ]
        merged = {profile for profile, fact in known.items() if fact.merged_into is not None}
        decided += [
            leave(work.project_id, defined.shards, pair, membership, cause=MERGE, now=work.now)
            for pair, membership in current.items()
            if pair[0] in merged
        ]
        decided += [
            _untimed(work, defined.shards, pair, current[pair])
            for pair in work.due
            if pair[1] not in defined.personas and pair in current and pair[0] not in merged
        ]
        changes.record(cursor, work.project_id, decided)


def _touched(work: Work, defined: Definitions, current: Mapping[Pair, Current]) -> dict[int, frozenset[int]]:
    """The personas to judge, for every profile of the claim: those for which something could come of it."""
    touched: dict[int, frozenset[int]] = {}
    for profile, mark in work.marks.items():
        moved = defined.touched(mark)
        stands = {
            persona: _stands(current.get((profile, persona)), defined.personas[persona].version, work.now)
            for persona in moved.raised | moved.lowered
        }
        touched[profile] = moved.always.union(
            (persona for persona in moved.raised if stands[persona] is not True),
            (persona for persona in moved.lowered if stands[persona] is not False),
        )
    for profile, persona in work.due:
        if persona in defined.personas:
            touched[profile] = touched.get(profile, frozenset()) | {persona}
    return {profile: personas for profile, personas in touched.items() if personas}


def _stands(stored: Current | None, version: int, now: int) -> bool | None:
    """The last judgment, if it is one by the present rule that no timer waits to correct; else None.

    Who has no row was judged when the profile was new, or will be by the backfill.
    """
    if stored is None:
        return False
    overdue = stored.recheck_at is not None and stored.recheck_at <= now
    return None if overdue or stored.version != version else stored.is_member


def _wanted(
    work: Work, defined: Definitions, touched: dict[int, frozenset[int]], current: dict[Pair, Current]
) -> dict[int, Wanted]:
    wanted = {}
    for profile, personas in touched.items():
        plan = defined.plan(personas)
        mark = work.marks.get(profile)
        if mark and mark.what & (stale.NEW | stale.MERGED) == stale.NEW:
            plan = tuple(row for row in plan if row.name_id in (*mark.names, lookups.ANY))  # it has no events but these
        wanted[profile] = Wanted(plan, _earliest(profile, personas, current, work.now))
    return wanted


def _earliest(profile: int, personas: Iterable[int], current: dict[Pair, Current], now: int) -> int:
    """The instant from which the profile will be judged. Asked of all that is stored, not of what was claimed: with
    more timers due than a turn takes, a marked profile may have one that is not among them."""
    instants = (one.recheck_at for persona in personas if (one := current.get((profile, persona))))
    return min((instant for instant in instants if instant is not None), default=now)


def _decide(
    work: Work, defined: Definitions, profile: int, personas: Iterable[int], known: Facts, current: dict[Pair, Current]
) -> Iterator[Decided]:
    shard = ids.shard_of(work.project_id, profile, defined.shards)
    mark = work.marks.get(profile)
    for persona in personas:
        definition = defined.personas[persona]
        try:
            verdict = judge(
                partial(definition.compiled.value, known),
                now=work.now,
                version=definition.version,
                current=current.get((profile, persona)),
                mark=mark,
                on_traits=definition.on_traits and mark is not None and not _named(mark, defined, definition),
                event_at=partial(_event_at, known, definition.compiled.names),
            )
        except Exception:  # whatever a rule does on some data: the project's turn must not be rolled back for ever
            log.exception("pair.not_judged", project=work.project_id, persona=persona, profile=profile)
            work.failed.add(persona)
            yield _untimed(work, defined.shards, (profile, persona), current.get((profile, persona), NOBODY))
        else:
            if verdict.write:
                yield Decided(profile, persona, shard, definition.version, verdict)


def _named(mark: Mark, defined: Definitions, definition: Definition) -> bool:
    """Whether an event that the rule looks at is among what happened."""
    return any(defined.name_ids.get(name) in mark.names for name in definition.names) or (
        definition.any_event and bool(mark.names)
    )


def _event_at(known: Facts, names: Iterable[str], instant: int) -> bytes | None:
    """The event that happened exactly then, if one did."""
    return next((row.uid for name in names for row in known.events.get(name, ()) if row.ts == instant), None)


def leave(project_id: int, shards: int, pair: Pair, current: Current, *, cause: str, now: int) -> Decided:
    """The end of a membership whatever the rule says; what is no member only loses its timer."""
    profile, persona = pair
    at = max(now, current.since)
    flips = (Flip(enters=False, at=at, cause=cause),) if current.is_member else ()
    verdict = Verdict(flips, is_member=False, since=at if flips else current.since, recheck_at=None, write=True)
    return Decided(profile, persona, ids.shard_of(project_id, profile, shards), current.version, verdict)


def _untimed(work: Work, shards: int, pair: Pair, current: Current) -> Decided:
    """A timer of a persona that is not judged at present (paused, failed): it ends; who resumes it judges everybody."""
    verdict = Verdict((), is_member=current.is_member, since=current.since, recheck_at=None, write=True)
    return Decided(pair[0], pair[1], ids.shard_of(work.project_id, pair[0], shards), current.version, verdict)


def stored(
    cursor: Rows, project_id: int, profiles: Iterable[int], personas: Iterable[int] | None = None
) -> dict[Pair, Current]:
    """The memberships of those profiles: in all personas, or in these."""
    if personas is None:
        cursor.execute(CURRENT, (project_id, lookups.int_array(profiles)))
    else:
        cursor.execute(CURRENT_OF, (project_id, lookups.int_array(profiles), lookups.int_array(personas)))
    return {(profile, persona): Current(*rest) for profile, persona, *rest in cursor.fetchall()}
