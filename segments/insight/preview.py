"""Before a rule is saved: who would enter, leave and stay. Nothing is written and nobody is told."""

import time
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

import msgspec

from ingestion.models import Profile
from keys.models import Project
from segments import cursors, definitions, facts, memberships, services
from segments.definitions import Definitions
from segments.facts import Wanted
from segments.insight import people, reading
from segments.models import Persona
from segments.signals import would_tell

SAMPLES = 10  # shown of those who enter, and of those who leave
BUDGET = 10.0  # seconds: a page that waits longer is closed by its reader


class Person(msgspec.Struct, frozen=True):
    """One profile of a sample."""

    profile: str
    external_ids: list[str]


class Preview(msgspec.Struct, frozen=True):
    """enter, leave, stay: profiles; complete: False if time ran out after `seen` profiles, the figures are of those.

    destinations: the names of those that would be told of these enters and leaves.
    """

    enter: int
    leave: int
    stay: int
    seen: int
    complete: bool
    entering: list[Person]
    leaving: list[Person]
    destinations: list[str]


def preview(*, project: Project, rule: Any, persona: Persona | None = None, budget: float = BUDGET) -> Preview:
    """Judge everybody by `rule` and compare with the members of `persona` (None: a persona that is not there yet).

    budget: seconds. Raises Problem 400 rule.invalid.
    """
    candidate = persona or Persona(project=project, pk=0)
    services.checked(project, rule)
    proposed = Persona(pk=candidate.pk, project=project, slug=candidate.slug, rule=rule, version=candidate.version + 1)
    deadline = time.monotonic() + budget
    entering: list[int] = []
    leaving: list[int] = []
    enter = leave = stay = seen = last = 0
    with cursors.raw_cursor() as cursor:
        defined = definitions.alone(proposed)
        defined.learn_names(cursor, project.pk)
    while (profiles := people.page(project.pk, last)) and time.monotonic() < deadline:
        members, would = _judged(defined, project.pk, candidate.pk, profiles)
        comes, goes = sorted(would - members), sorted(members - would)
        enter, leave, stay = enter + len(comes), leave + len(goes), stay + len(would & members)
        entering += comes[: SAMPLES - len(entering)]
        leaving += goes[: SAMPLES - len(leaving)]
        seen, last = seen + len(profiles), profiles[-1]
    shown = _people(project.pk, [*entering, *leaving])
    return Preview(
        enter=enter,
        leave=leave,
        stay=stay,
        seen=seen,
        complete=not profiles,
        entering=[shown[profile] for profile in entering if profile in shown],
        leaving=[shown[profile] for profile in leaving if profile in shown],
        destinations=_told(candidate, {op for op, n in (("enter", enter), ("leave", leave)) if n}),
    )


def _told(persona: Persona, ops: Collection[str]) -> list[str]:
    asked = would_tell.send(Persona, project_id=persona.project_id, persona=persona.slug, ops=ops) if ops else []
    return sorted(name for _, names in asked for name in names or ())


def _judged(defined: Definitions, project_id: int, persona_id: int, profiles: list[int]) -> tuple[set[int], set[int]]:
    """Of these profiles: the members now, and those who would be."""
    (definition,) = defined.personas.values()
    plan = defined.plan(frozenset(defined.personas))
    with cursors.raw_cursor() as cursor:
        now = cursors.clock(cursor)
        current = memberships.stored(cursor, project_id, profiles, [persona_id])
        wanted = {profile: Wanted(plan, now) for profile in profiles}
        known = facts.gather(cursor, project_id, wanted, retention=defined.retention, now=now)
    members = {profile for (profile, _), one in current.items() if one.is_member}
    value = definition.compiled.value
    return members, {profile for profile, fact in known.items() if partial(value, fact)(now) > 0}


def _people(project_id: int, profiles: Iterable[int]) -> dict[int, Person]:
    wanted = list(profiles)
    external = reading.external_ids(project_id, wanted)
    rows = Profile.objects.filter(project_id=project_id, id__in=wanted).values_list("id", "public_id")
    return {profile: Person(public, external.get(profile, [])) for profile, public in rows}
