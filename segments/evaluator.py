"""Evaluate: the stale profiles and due timers of one project's lanes, in one transaction.

Any number of workers may run this. The lanes' row locks keep the order per profile; a crash rolls back and the work
is there again. What is written goes through segments.changes.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import msgspec
from django.db import transaction

from ingestion.applying import stale
from ingestion.applying.stale import Mark
from persona.lib import ids
from persona.lib.log import get_logger
from segments import changes, claim, cursors, definitions, facts, figures, lookups, memberships, warnings
from segments.changes import Decided
from segments.claim import Work
from segments.cursors import Rows
from segments.definitions import Definition, Definitions, Touched
from segments.facts import Wanted
from segments.judge import MERGE, NOBODY, Current, Flip, Verdict, judge, stands
from segments.memberships import Pair
from segments.rules import Facts

log = get_logger(__name__)

_last_project = 0  # projects take turns in this process


def evaluate_some() -> int:
    """One turn: the profiles and timers judged; 0 when there was nothing to do or others hold the lanes."""
    global _last_project
    for project_id, has_personas in claim.candidates(_last_project):
        if not has_personas and (forgotten := claim.forget(project_id)):
            return forgotten
        started = time.monotonic()
        with transaction.atomic():
            work = claim.claim(project_id)
            if work is not None:
                _last_project = project_id
                defined, touched, known = _evaluate(work)
        if work is not None:
            figures.SECONDS.observe(time.monotonic() - started)
            figures.JUDGED.inc(len(work.marks) + len(work.due))
            definitions.set_aside(work.project_id, work.failed)
            warnings.sample(work.project_id, defined, touched, known, work.now)
            return len(work.marks) + len(work.due)
    return 0


def _evaluate(work: Work) -> tuple[Definitions, Mapping[int, frozenset[int]], Mapping[int, Facts]]:
    """Judge and record; what was looked at, by whom, and what was known of them."""
    with cursors.raw_cursor() as cursor:
        defined = definitions.at_version(cursor, work.project_id, work.rules_version, work.newest_name)
        profiles = {*work.marks, *(profile for profile, _ in work.due)}
        people = facts.people(cursor, work.project_id, profiles, retention=defined.retention)
        moved = _moved(work, defined, people)
        current = _stored(cursor, work, moved)
        touched = _touched(work, defined, moved, current)
        wanted = _wanted(work, defined, touched, people, current)
        known = facts.with_events(cursor, work.project_id, people, wanted, now=work.now)
        decided = [
            one
            for profile, personas in touched.items()
            if profile in known and known[profile].merged_into is None
            for one in _decide(work, defined, profile, personas, known[profile], current)
        ]
        merged = {profile for profile, fact in known.items() if fact.merged_into is not None}
        decided += [
            leave(work.project_id, defined, pair, membership, cause=MERGE, now=work.now)
            for pair, membership in current.items()
            if pair[0] in merged
        ]
        decided += [
            _untimed(work, defined, pair, current[pair])
            for pair in work.due
            if pair[1] not in defined.personas and pair in current and pair[0] not in merged
        ]
        changes.record(cursor, work.project_id, map(partial(_told, work), decided))
    return defined, touched, known


def _moved(work: Work, defined: Definitions, people: Mapping[int, Facts]) -> dict[int, Touched]:
    """The personas that what happened could move. Not those that traits alone decide, if only events happened: they
    were judged when the traits came, or will be when the mark of the traits is claimed."""
    moved = {profile: defined.touched(mark) for profile, mark in work.marks.items()}
    for profile, mark in work.marks.items():
        if not mark.what and profile in people:
            settled = defined.settled(frozenset().union(*moved[profile]), people[profile])
            if settled:
                moved[profile] = Touched._make(some - settled for some in moved[profile])
    return moved


def _stored(cursor: Rows, work: Work, moved: Mapping[int, Touched]) -> dict[Pair, Current]:
    """The memberships that could move. Who was merged may have to leave any, who is new has next to none."""
    wholly = {profile for profile, mark in work.marks.items() if mark.what & (stale.NEW | stale.MERGED)}
    personas: dict[int, frozenset[int]] = {}
    for profile in work.marks:
        if profile not in wholly:
            personas[profile] = frozenset().union(*moved[profile])
    for profile, persona in work.due:
        if profile not in wholly:
            personas[profile] = personas.get(profile, frozenset()) | {persona}
    return memberships.stored_of_each(cursor, work.project_id, personas, wholly)


def _touched(
    work: Work, defined: Definitions, moved_by: Mapping[int, Touched], current: Mapping[Pair, Current]
) -> dict[int, frozenset[int]]:
    """The personas to judge, for every profile of the claim: those for which something could come of it."""
    touched: dict[int, frozenset[int]] = {}
    for profile, moved in moved_by.items():
        stands = {
            persona: _stands(current.get((profile, persona)), defined.personas[persona].revision, work.now)
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


def _stands(stored: Current | None, revision: int, now: int) -> bool | None:
    """The last judgment, if it is one by the present rule that no timer waits to correct; else None.

    Who has no row was judged when the profile was new, or will be by the backfill.
    """
    if stored is None:
        return False
    return None if _due(stored, now) or stored.revision != revision else stored.is_member


def _due(stored: Current | None, now: int) -> bool:
    return stored is not None and stored.recheck_at is not None and stored.recheck_at <= now


def _wanted(
    work: Work,
    defined: Definitions,
    touched: Mapping[int, frozenset[int]],
    people: Mapping[int, Facts],
    current: dict[Pair, Current],
) -> dict[int, Wanted]:
    wanted = {}
    for profile, personas in touched.items():
        mark = work.marks.get(profile)
        reading = personas
        if mark and mark.what and profile in people:  # else the settled are not among them; a timer names its event
            settled = defined.settled(personas, people[profile])
            reading -= {persona for persona in settled if not _due(current.get((profile, persona)), work.now)}
        plan = defined.plan(reading)
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
        stored = current.get((profile, persona))
        try:
            if stands(definition.compiled.value(known, work.now), work.now, definition.revision, stored):
                continue
            verdict = judge(
                partial(definition.compiled.value, known),
                now=work.now,
                revision=definition.revision,
                current=stored,
                mark=mark,
                on_traits=definition.on_traits and mark is not None and not _named(mark, defined, definition),
                event_at=partial(_event_at, known, definition.compiled.names),
            )
        except Exception:  # whatever a rule does on some data: the project's turn must not be rolled back for ever
            log.exception("pair.not_judged", project=work.project_id, persona=persona, profile=profile)
            work.failed.add(persona)
            yield _untimed(work, defined, (profile, persona), stored or NOBODY)
        else:
            if verdict.write:
                yield Decided(profile, persona, shard, definition.version, definition.revision, verdict)


def _named(mark: Mark, defined: Definitions, definition: Definition) -> bool:
    """Whether an event that the rule looks at is among what happened."""
    return any(defined.name_ids.get(name) in mark.names for name in definition.names) or (
        definition.any_event and bool(mark.names)
    )


def _event_at(known: Facts, names: Iterable[str], instant: int) -> bytes | None:
    """The event that happened exactly then, if one did."""
    return next((row.uid for name in names for row in known.events.get(name, ()) if row.ts == instant), None)


def _told(work: Work, one: Decided) -> Decided:
    """Silent, where nothing but an import of the past moved the profile."""
    mark = work.marks.get(one.profile)
    quiet = mark is not None and mark.what & stale.QUIET and (one.profile, one.persona) not in work.due
    return msgspec.structs.replace(one, silent=True) if quiet else one


def leave(project_id: int, defined: Definitions, pair: Pair, current: Current, *, cause: str, now: int) -> Decided:
    """The end of a membership whatever the rule says; what is no member only loses its timer."""
    at = max(now, current.since)
    flips = (Flip(enters=False, at=at, cause=cause),) if current.is_member else ()
    verdict = Verdict(flips, is_member=False, since=at if flips else current.since, recheck_at=None, write=True)
    return _as_stored(project_id, defined, pair, current, verdict)


def _untimed(work: Work, defined: Definitions, pair: Pair, current: Current) -> Decided:
    """A timer of a persona that is not judged at present (paused, failed): it ends; who resumes it judges everybody."""
    verdict = Verdict((), is_member=current.is_member, since=current.since, recheck_at=None, write=True)
    return _as_stored(work.project_id, defined, pair, current, verdict)


def _as_stored(project_id: int, defined: Definitions, pair: Pair, current: Current, verdict: Verdict) -> Decided:
    """A verdict that no rule has given: what was judged by stays what it was."""
    profile, persona = pair
    shard = ids.shard_of(project_id, profile, defined.shards)
    return Decided(profile, persona, shard, defined.versions.get(persona, 0), current.revision, verdict)
