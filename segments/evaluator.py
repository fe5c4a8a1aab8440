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
from segments import changes, choosing, claim, cursors, definitions, facts, figures, memberships, warnings
from segments.changes import Decided
from segments.choosing import NOTHING
from segments.claim import Work
from segments.definitions import Definition, Definitions
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
        moved = choosing.moved(work, defined, people)
        stored = memberships.stored_of_each(cursor, work.project_id, *choosing.looked_up(work, moved))
        touched = choosing.touched(work, defined, moved, stored)
        wanted = choosing.wanted(work, defined, touched, people, stored)
        known = facts.with_events(cursor, work.project_id, people, wanted, now=work.now)
        decided = [
            one
            for profile, personas in touched.items()
            if profile in known and known[profile].merged_into is None
            for one in _decide(work, defined, profile, personas, known[profile], stored.get(profile, NOTHING))
        ]
        merged = {profile for profile, fact in known.items() if fact.merged_into is not None}
        decided += [
            leave(work.project_id, defined, (profile, persona), membership, cause=MERGE, now=work.now)
            for profile in merged
            for persona, membership in stored.get(profile, NOTHING).items()
        ]
        decided += [
            _untimed(work, defined, (profile, persona), stored[profile][persona])
            for profile, persona in work.due
            if persona not in defined.personas and persona in stored.get(profile, NOTHING) and profile not in merged
        ]
        changes.record(cursor, work.project_id, map(partial(_told, work), decided))
    return defined, touched, known


def _decide(
    work: Work,
    defined: Definitions,
    profile: int,
    personas: Iterable[int],
    known: Facts,
    of_profile: Mapping[int, Current],
) -> Iterator[Decided]:
    shard = ids.shard_of(work.project_id, profile, defined.shards)
    mark, now = work.marks.get(profile), work.now
    for persona in personas:
        definition = defined.personas[persona]
        stored = of_profile.get(persona)
        value = definition.compiled.value
        try:
            f = value(known, now)
            if stands(f, now, definition.revision, stored):
                continue
            verdict = judge(
                partial(value, known),
                now=now,
                revision=definition.revision,
                current=stored,
                mark=mark,
                on_traits=_on_traits(mark, defined, definition),
                event_at=partial(_event_at, known, definition.compiled.names),
                known=f,
            )
        except Exception:  # whatever a rule does on some data: the project's turn must not be rolled back for ever
            log.exception("pair.not_judged", project=work.project_id, persona=persona, profile=profile)
            work.failed.add(persona)
            yield _untimed(work, defined, (profile, persona), stored or NOBODY)
        else:
            if verdict.write:
                yield Decided(profile, persona, shard, definition.version, definition.revision, verdict)


def _on_traits(mark: Mark | None, defined: Definitions, definition: Definition) -> bool:
    """Whether the rule reads traits, and no event that it looks at is among what happened."""
    if mark is None or not mark.what & stale.TRAITS or not definition.on_traits:
        return False
    named = any(defined.name_ids.get(name) in mark.names for name in definition.names)
    return not named and not (definition.any_event and mark.names)


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
