"""Delete what ingestion holds of a profile: its events, traits, ids, dead letters, and what was logged of it.

Its row stays as a number that the change log can go on naming, merged into nobody, with nothing in it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction

from ingestion.applying.cursors import Cursor, bulk_cursor
from ingestion.applying.identity import Key

NOBODY = 0  # in `merged_into`
SHORTEST = 4  # characters of a trait's text that somebody may have repeated

# Writers forget what they remember of people.
LOCK = "update ingestion_writerlane set people_version = people_version + 1 where project_id = %s"
MERGED = """
with recursive taken(id) as (
    select %(profile)s::bigint
    union
    select p.id from ingestion_profile p join taken t on p.merged_into = t.id where p.project_id = %(project)s
)
select p.id, p.public_id, p.traits::text
from taken t join ingestion_profile p on p.project_id = %(project)s and p.id = t.id
"""
IDS = "select kind, external_id from ingestion_alias where project_id = %s and profile_id = any(%s)"
EVENTS = "delete from ingestion_event where project_id = %s and profile_id = any(%s)"
ALIASES = "delete from ingestion_alias where project_id = %s and profile_id = any(%s)"
ACTIVE = "delete from ingestion_profileactive where project_id = %s and profile_id = any(%s)"
PROFILE = """
update ingestion_profile set merged_into = 0, identified = false, traits = '{}', trait_ts = '{}',
    first_seen = 0, last_seen = 0
where project_id = %s and id = any(%s)
"""
# Of the log of applied events, entries of theirs alone; a row keeps its number.
APPLIED = """
update ingestion_applied a set events = (
    select coalesce(jsonb_agg(e.value), '[]') from jsonb_array_elements(a.events) e
    where not coalesce(e.value ->> 'profile' = any(%(public)s), false)
      and not coalesce(e.value ->> 'external_id' = any(%(ids)s), false))
where a.project_id = %(project)s and exists (
    select from jsonb_array_elements(a.events) e
    where e.value ->> 'profile' = any(%(public)s) or e.value ->> 'external_id' = any(%(ids)s))
"""
# Raw bodies are searched for the ids as JSON writes them, with and without escapes.
LETTERS = """
delete from ingestion_deadletter d where d.project_id = %s and exists (
    select from unnest(%s::bytea[]) as known(id)
    where position(known.id in d.body) > 0 or position(known.id in d.frame) > 0)
"""
PARKED = """
delete from ingestion_batch b where b.project_id = %s and b.parked and exists (
    select from unnest(%s::bytea[]) as known(id) where position(known.id in b.body) > 0)
"""


class Found(msgspec.Struct, frozen=True):
    """Whom an erasure is about: the profile and those merged into it, all their external ids, and what their traits
    say in words."""

    profiles: Sequence[int]
    public: Sequence[str]
    keys: Sequence[Key]
    words: Sequence[str] = ()


class Deleted(msgspec.Struct, frozen=True):
    """How many rows are gone."""

    events: int
    ids: int
    dead_letters: int
    parked_batches: int


def lock_writer(cursor: Cursor, project: int) -> None:
    """No batch of the project is applied until the transaction ends."""
    cursor.execute(LOCK, [project])


def found(cursor: Cursor, project: int, profile: int) -> Found:
    """`profile`: the number of one that was not merged."""
    rows = cursor.execute(MERGED, {"project": project, "profile": profile}).fetchall()
    profiles, public = [number for number, _, _ in rows], [name for _, name, _ in rows]
    keys = cursor.execute(IDS, [project, profiles]).fetchall()
    words = {word for _, _, traits in rows for word in _words(msgspec.json.decode(traits))}
    return Found(profiles, public, [(kind, external) for kind, external in keys], sorted(words))


def _words(value: Any) -> Iterator[str]:
    """Texts in traits that may tell one person from others."""
    if isinstance(value, str) and len(value) >= SHORTEST:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _words(inner)


def delete(cursor: Cursor, project: int, who: Found) -> Deleted:
    """Everything, in the transaction of `cursor`, under the writer's lock."""
    ids = [external for _, external in who.keys]
    written = list(_written(ids))
    events = cursor.execute(EVENTS, [project, who.profiles]).rowcount
    aliases = cursor.execute(ALIASES, [project, who.profiles]).rowcount
    cursor.execute(ACTIVE, [project, who.profiles])
    cursor.execute(PROFILE, [project, who.profiles])
    cursor.execute(APPLIED, {"project": project, "public": who.public, "ids": ids})
    letters = cursor.execute(LETTERS, [project, written]).rowcount
    return Deleted(events, aliases, letters, _delete_parked(project, written))


def _delete_parked(project: int, written: list[bytes]) -> int:
    """Batches that could not be applied at all, in the inbox's own database if it has one."""
    with transaction.atomic(using=settings.INBOX_ALIAS), bulk_cursor(settings.INBOX_ALIAS) as cursor:
        return cursor.execute(PARKED, [project, written]).rowcount


def _written(ids: Iterable[str]) -> Iterable[bytes]:
    """The ids as they may stand in JSON: as text, escaped, and a number without quotes."""
    for external in ids:
        yield msgspec.json.encode(external)
        yield json.dumps(external).encode()
        if external.isascii() and external.isdigit():
            yield external.encode()
