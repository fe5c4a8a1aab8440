"""What people and programs read of personas and profiles: members, memberships, the instants at which they end."""

from collections.abc import Iterable, Mapping
from functools import partial

import msgspec
from django.db import connection

from ingestion.models import Alias, Profile
from keys.models import Project
from persona.lib.clock import rfc3339
from segments import cursors, definitions, facts
from segments.definitions import Definitions
from segments.facts import Wanted
from segments.insight import future
from segments.models import Membership, Persona, PersonaHour
from segments.rules import Facts

Pair = tuple[int, int]


class Member(msgspec.Struct, frozen=True):
    """One member of a persona. Instants are RFC 3339; leaves_at is None if time alone never ends it."""

    profile: str
    external_ids: list[str]
    since: str
    leaves_at: str | None


class Belongs(msgspec.Struct, frozen=True):
    """One persona of a profile."""

    persona: str
    since: str
    leaves_at: str | None


def members(*, persona: Persona, after: int, limit: int) -> tuple[list[Member], int | None]:
    """A page of the members with a profile id above `after`, and the id to go on from (None: that was all)."""
    rows = list(
        Membership.objects.filter(
            project_id=persona.project_id, persona_id=persona.pk, is_member=True, profile_id__gt=after
        ).order_by("profile_id")[: limit + 1]
    )
    page = rows[:limit]
    found = {row.profile_id for row in page}
    public = dict(Profile.objects.filter(project_id=persona.project_id, id__in=found).values_list("id", "public_id"))
    external = external_ids(persona.project_id, found)
    leaves = leaving(persona.project, [(row.profile_id, persona.pk) for row in page])
    results = [
        Member(
            public.get(row.profile_id, ""),
            external.get(row.profile_id, []),
            rfc3339(row.since),
            leaves.get((row.profile_id, row.persona_id)),
        )
        for row in page
    ]
    return results, page[-1].profile_id if len(rows) > limit else None


def sizes(project_id: int) -> dict[int, int]:
    """Members now, by persona: what was tallied with the changes, so nobody is counted."""
    rows = PersonaHour.objects.filter(project_id=project_id, hour=0).values_list("persona_id", "enters", "leaves")
    return {persona: enters - leaves for persona, enters, leaves in rows}


PROGRESS = """
select job.persona_id, avg(case when job.done then 1 else coalesce(least(job.cursor::float / newest.id, 1), 0) end)
from segments_backfilljob job, (select max(id) as id from ingestion_profile where project_id = %s) newest
where job.project_id = %s group by job.persona_id
"""


def progress(project_id: int) -> dict[int, float]:
    """How much of the project has been judged by each persona's present definition, about: 0 to 1."""
    with connection.cursor() as cursor:
        cursor.execute(PROGRESS, [project_id, project_id])
        return {persona: round(float(share), 3) for persona, share in cursor.fetchall()}


def belongings(*, project: Project, profile_id: int) -> list[Belongs]:
    """The personas that a profile is in."""
    rows = list(Membership.objects.filter(project=project, profile_id=profile_id, is_member=True))
    slugs = dict(
        Persona.objects.filter(project=project, id__in=[row.persona_id for row in rows]).values_list("id", "slug")
    )
    leaves = leaving(project, [(profile_id, row.persona_id) for row in rows])
    found = [
        Belongs(slugs[row.persona_id], rfc3339(row.since), leaves.get((profile_id, row.persona_id)))
        for row in rows
        if row.persona_id in slugs
    ]
    return sorted(found, key=lambda one: one.persona)


def external_ids(project_id: int, profiles: Iterable[int]) -> dict[int, list[str]]:
    """The ids by which the outside knows those profiles, user ids first."""
    known: dict[int, list[str]] = {}
    order = {Alias.Kind.USER: 0, Alias.Kind.ANONYMOUS: 1, Alias.Kind.SESSION: 2}
    rows = Alias.objects.filter(project_id=project_id, profile_id__in=list(profiles))
    for row in sorted(rows, key=lambda row: (order[Alias.Kind(row.kind)], row.external_id)):
        known.setdefault(row.profile_id, []).append(row.external_id)
    return known


def names(project_id: int, profiles: Iterable[int]) -> dict[int, str]:
    """What to call those profiles: the id by which their sender knows them, user ids first."""
    return {profile: known[0] for profile, known in external_ids(project_id, profiles).items()}


def leaving(project: Project, pairs: Iterable[Pair]) -> dict[Pair, str | None]:
    """When each pair's membership ends if nothing happens. Stored timers may be early, so this asks the rules."""
    wanted_pairs = list(pairs)
    if not wanted_pairs:
        return {}
    with cursors.raw_cursor() as cursor:
        defined = definitions.of_project(cursor, project.pk)
        now = cursors.clock(cursor)
        wanted = _wanted(defined, wanted_pairs, now)
        known = facts.gather(cursor, project.pk, wanted, retention=defined.retention, now=now) if wanted else {}
    return {
        pair: _leaves_at(defined, known[pair[0]], pair[1], now)
        for pair in wanted_pairs
        if pair[0] in known and pair[1] in defined.personas
    }


def _wanted(defined: Definitions, pairs: Iterable[Pair], now: int) -> Mapping[int, Wanted]:
    personas: dict[int, set[int]] = {}
    for profile, persona in pairs:
        if persona in defined.personas:
            personas.setdefault(profile, set()).add(persona)
    plans = {of: defined.plan_ahead(of) for of in {frozenset(of) for of in personas.values()}}
    return {profile: Wanted(plans[frozenset(of)], now) for profile, of in personas.items()}


def _leaves_at(defined: Definitions, known: Facts, persona: int, now: int) -> str | None:
    at = future.leaves_at(partial(defined.personas[persona].compiled.value, known), now=now)
    return None if at is None else rfc3339(at)


def profile_by(project: Project, *, reference: str = "", kind: str = "") -> Profile | None:
    """The profile with that public id (kind "") or external id, following merges; None if there is none."""
    profiles = Profile.objects.filter(project=project)
    if kind:
        alias = Alias.objects.filter(project=project, kind=kind, external_id=reference).first()
        found = profiles.filter(id=alias.profile_id).first() if alias else None
    else:
        found = profiles.filter(public_id=reference).first()
    while found is not None and found.merged_into is not None:
        found = profiles.filter(id=found.merged_into).first()
    return found
