"""Warnings on personas: values of a type that a rule does not compare, and more events than are looked at.

Both are counted where everybody is judged (backfill, verify) and in samples of live turns, never in all of those: a
turn in which one profile is looked at comes once a second. What is told are profiles, at most a hundred each.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from django.db import connection

from ingestion.models import Profile
from segments import rules
from segments.definitions import Definition, Definitions
from segments.models import PersonaWarning
from segments.rules import Facts

EVERY = 1.0  # seconds between two live samples of one process
MOST = 100  # profiles remembered of one warning
NAMED = 3  # profiles shown of one warning
FORGET = 30 * 86_400_000  # ms after which what was not seen again is forgotten

# A persona may have been given another rule since: what was seen by the old one is no longer said.
STORE = """
insert into segments_personawarning (project_id, persona_id, kind, path, since, latest, profiles)
select %(project)s, r.persona, r.kind, r.path, %(now)s, %(now)s, (array_agg(distinct r.profile))[1:%(most)s]
from unnest(%(personas)s::bigint[], %(revisions)s::integer[], %(kinds)s::text[], %(paths)s::text[],
    %(profiles)s::bigint[]) r(persona, revision, kind, path, profile)
join segments_persona p on p.project_id = %(project)s and p.id = r.persona and p.revision = r.revision
group by r.persona, r.kind, r.path order by r.persona, r.kind, r.path
on conflict (project_id, persona_id, kind, path) do update set latest = excluded.latest,
    profiles = case when cardinality(segments_personawarning.profiles) >= %(most)s then segments_personawarning.profiles
        else (select (array_agg(distinct each))[1:%(most)s]
              from unnest(segments_personawarning.profiles || excluded.profiles) each) end
"""

_next = 0.0  # the monotonic instant of the next live sample


class Noticed(NamedTuple):
    """One warning about one profile."""

    persona: int
    revision: int
    kind: str
    path: str
    profile: int


class Warned(NamedTuple):
    """One warning as it is shown. since, latest: ms, the first and the last time it was seen; at_least: there are more
    profiles than are counted; samples: public ids."""

    kind: str
    path: str
    profiles: int
    at_least: bool
    since: int
    latest: int
    samples: list[str]


def notice(definition: Definition, profile: int, facts: Facts, now: int) -> Iterator[Noticed]:
    """What is odd about one profile for one persona."""
    for check in definition.checks:
        if rules.mismatched(check, facts, now):
            yield Noticed(definition.persona_id, definition.revision, "type_mismatch", check.path, profile)
    for name in facts.capped & definition.compiled.names:
        yield Noticed(definition.persona_id, definition.revision, "capped", name, profile)


def sample(
    project_id: int, defined: Definitions, touched: Mapping[int, Iterable[int]], known: Mapping[int, Facts], now: int
) -> None:
    """Look at one profile of a turn that has been committed, if it is time."""
    global _next
    if time.monotonic() < _next:
        return
    _next = time.monotonic() + EVERY
    for profile, personas in islice(((p, personas) for p, personas in touched.items() if p in known), 1):
        found = [one for i in personas for one in notice(defined.personas[i], profile, known[profile], now)]
        store(project_id, found, now)


def store(project_id: int, found: Iterable[Noticed], now: int) -> None:
    """Add to what is known. After the transaction that looked: nobody waits for these rows."""
    rows = list(found)
    if not rows:
        return
    with connection.cursor() as cursor:
        columns = ("personas", "revisions", "kinds", "paths", "profiles")
        asked = {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}
        cursor.execute(STORE, {**asked, "project": project_id, "now": now, "most": MOST})


def forget(project_id: int, personas: Iterable[int]) -> None:
    """They are about to be judged anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from segments_personawarning where project_id = %s and persona_id = any(%s)",
            [project_id, list(personas)],
        )


def forget_old(project_id: int, now: int) -> None:
    """What has not been seen again for long is over."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from segments_personawarning where project_id = %s and latest < %s", [project_id, now - FORGET]
        )


def of_project(project_id: int) -> dict[int, list[Warned]]:
    """By persona."""
    rows = list(PersonaWarning.objects.filter(project_id=project_id).order_by("persona_id", "kind", "path"))
    named = {profile for row in rows for profile in row.profiles[:NAMED]}
    public = dict(Profile.objects.filter(project_id=project_id, id__in=named).values_list("id", "public_id"))
    found: dict[int, list[Warned]] = {}
    for row in rows:
        samples = [public[profile] for profile in row.profiles[:NAMED] if profile in public]
        n = len(row.profiles)
        warned = Warned(row.kind, row.path, n, n >= MOST, row.since, row.latest, samples)
        found.setdefault(row.persona_id, []).append(warned)
    return found
