"""Choose: for which profiles which personas are judged, and what is read for that. Pure.

What events, traits and timers could not move is left out, since what is left out costs nothing.
"""

from collections.abc import Iterable, Mapping

from ingestion.applying import stale
from segments import lookups
from segments.claim import Work
from segments.definitions import Definitions, Touched
from segments.facts import Wanted
from segments.judge import Current
from segments.memberships import Stored
from segments.rules import Facts

NOTHING: Mapping[int, Current] = {}


def moved(work: Work, defined: Definitions, people: Mapping[int, Facts]) -> dict[int, Touched]:
    """The personas that what happened could move. Not those that traits alone decide, if only events happened: they
    were judged when the traits came, or will be when the mark of the traits is claimed."""
    found = {profile: defined.touched(mark) for profile, mark in work.marks.items()}
    for profile, mark in work.marks.items():
        if not mark.what and profile in people:
            settled = defined.settled(found[profile].every, people[profile])
            if settled:
                found[profile] = Touched._make(some - settled for some in found[profile])
    return found


def looked_up(work: Work, moved_by: Mapping[int, Touched]) -> tuple[dict[int, frozenset[int]], set[int]]:
    """The personas of each profile whose memberships could move, and the profiles of which all are read. Who was merged
    may have to leave any, who is new has next to none."""
    wholly = {profile for profile, mark in work.marks.items() if mark.what & (stale.NEW | stale.MERGED)}
    personas = {profile: moved_by[profile].every for profile in work.marks if profile not in wholly}
    for profile, persona in work.due:
        if profile not in wholly:
            personas[profile] = personas.get(profile, frozenset()) | {persona}
    return personas, wholly


def touched(
    work: Work, defined: Definitions, moved_by: Mapping[int, Touched], stored: Stored
) -> dict[int, frozenset[int]]:
    """The personas to judge, for every profile of the claim: those for which something could come of it."""
    found = {
        profile: moving.always.union(gated(moving, stored.get(profile, NOTHING), defined, work.now))
        for profile, moving in moved_by.items()
    }
    for profile, persona in work.due:
        if persona in defined.personas:
            found[profile] = found.get(profile, frozenset()) | {persona}
    return {profile: personas for profile, personas in found.items() if personas}


def gated(moving: Touched, of_profile: Mapping[int, Current], defined: Definitions, now: int) -> list[int]:
    """Of the personas that it could move one way only, those of which the profile is not on that side already, by a
    judgment that stands. Who has no row was judged when the profile was new, or will be by the backfill."""
    found = [
        persona
        for persona in moving.raised
        if (one := of_profile.get(persona)) is None or not one.is_member or not _stands(persona, one, defined, now)
    ]
    if of_profile:
        found += [
            persona
            for persona in moving.lowered
            if (one := of_profile.get(persona)) is not None
            and (one.is_member or not _stands(persona, one, defined, now))
        ]
    return found


def _stands(persona: int, one: Current, defined: Definitions, now: int) -> bool:
    """Whether it was judged by the present rule, and no timer waits to correct it."""
    return one.revision == defined.personas[persona].revision and not _due(one, now)


def _due(one: Current | None, now: int) -> bool:
    return one is not None and one.recheck_at is not None and one.recheck_at <= now


def wanted(
    work: Work,
    defined: Definitions,
    touched_by: Mapping[int, frozenset[int]],
    people: Mapping[int, Facts],
    stored: Stored,
) -> dict[int, Wanted]:
    """What to read of each profile's events."""
    found = {}
    for profile, personas in touched_by.items():
        mark, of_profile = work.marks.get(profile), stored.get(profile, NOTHING)
        reading = personas
        if mark and mark.what and profile in people:  # else the settled are not among them; a timer names its event
            settled = defined.settled(personas, people[profile])
            reading -= {persona for persona in settled if not _due(of_profile.get(persona), work.now)}
        plan = defined.plan(reading)
        if mark and mark.what & (stale.NEW | stale.MERGED) == stale.NEW:
            plan = tuple(row for row in plan if row.name_id in (*mark.names, lookups.ANY))  # it has no events but these
        found[profile] = Wanted(plan, _earliest(personas, of_profile, work.now))
    return found


def _earliest(personas: Iterable[int], of_profile: Mapping[int, Current], now: int) -> int:
    """The instant from which the profile will be judged. Asked of all that is stored, not of what was claimed: with
    more timers due than a turn takes, a marked profile may have one that is not among them."""
    instants = [at for persona, one in of_profile.items() if (at := one.recheck_at) is not None and persona in personas]
    return min(instants, default=now)
