"""Ids of erased profiles: what came late does not revive them. Only digests are kept, never an id.

An event that names such an id and happened up to the erasure is dropped; a later one starts a new profile, unless the
id is on the suppression list.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from django.db import connection

from ingestion.applying.arrivals import Arrival
from ingestion.applying.cursors import Cursor
from ingestion.applying.identity import Key

KNOWN = """
select digest, erased_at, suppressed from ingestion_tombstone where project_id = %s and digest = any(%s)
"""
# A later erasure moves the instant on; suppression stays until it is lifted.
ADD = """
insert into ingestion_tombstone (project_id, digest, erased_at, suppressed)
select %(project)s, digest, %(at)s, %(suppressed)s from unnest(%(digests)s::bytea[]) as digest
on conflict (project_id, digest) do update set erased_at = greatest(ingestion_tombstone.erased_at, excluded.erased_at),
    suppressed = ingestion_tombstone.suppressed or excluded.suppressed
"""
LIFT = "update ingestion_tombstone set suppressed = false where project_id = %s and digest = %s and suppressed"
SUPPRESSED = "select exists (select from ingestion_tombstone where project_id = %s and digest = %s and suppressed)"


def digest(project: int, key: Key) -> bytes:
    """What is kept of an external id."""
    kind, external = key
    return hashlib.sha256(f"{project}\x00{kind}\x00{external}".encode()).digest()


def sifted(cursor: Cursor, project: int, arrivals: Sequence[Arrival]) -> tuple[list[Arrival], list[Arrival]]:
    """Those that may be applied, and those that belong to the erased."""
    named = {key: digest(project, key) for arrival in arrivals for key in arrival.keys}
    stones = _known(cursor, project, named.values())
    if not stones:
        return list(arrivals), []
    until = {key: stones[mark] for key, mark in named.items() if mark in stones}
    kept: list[Arrival] = []
    dropped: list[Arrival] = []
    for arrival in arrivals:
        (dropped if _is_erased(arrival, until) else kept).append(arrival)
    return kept, dropped


def bury(cursor: Cursor, project: int, keys: Iterable[Key], *, at: int, suppressed: bool) -> None:
    """Remember that whoever has these ids was erased at `at` (ms)."""
    digests = [digest(project, key) for key in keys]
    cursor.execute(ADD, {"project": project, "digests": digests, "at": at, "suppressed": suppressed})


def lift(project: int, key: Key) -> bool:
    """Take an id off the suppression list; False when it was not on it."""
    with connection.cursor() as cursor:
        cursor.execute(LIFT, [project, digest(project, key)])
        return bool(cursor.rowcount)


def is_suppressed(project: int, key: Key) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(SUPPRESSED, [project, digest(project, key)])
        (found,) = cursor.fetchone()
    return bool(found)


def _known(cursor: Cursor, project: int, digests: Iterable[bytes]) -> dict[bytes, float]:
    """By digest: until when its events are dropped, ms."""
    rows = cursor.execute(KNOWN, [project, list(digests)])
    return {bytes(mark): float("inf") if suppressed else erased_at for mark, erased_at, suppressed in rows}


def _is_erased(arrival: Arrival, until: Mapping[Key, float]) -> bool:
    return any(arrival.ts <= until.get(key, -1) for key in arrival.keys)
