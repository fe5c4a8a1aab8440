"""The inbox as the writer sees it: which projects wait, their oldest batches, and how a batch leaves.

The inbox may be a database of its own: nothing here is joined with another table.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction

from ingestion.applying.cursors import Cursor, array, bulk_cursor

EVENTS_A_TURN = 5_000
BYTES_A_TURN = 16 * 1024 * 1024  # of bodies; they become several times as much in memory
ERROR_LENGTH = 2_000

# A loose index scan: one probe of the primary key for each project, however many batches wait.
PROJECTS = """
with recursive waiting(project_id) as (
    (select project_id from ingestion_batch where not parked order by project_id limit 1)
    union all
    select (select b.project_id from ingestion_batch b where b.project_id > w.project_id and not b.parked
            order by b.project_id limit 1)
    from waiting w where w.project_id is not null
)
select project_id from waiting where project_id is not null
"""
# Up to one id, found first: a join with the counted rows becomes quadratic while the inbox has no statistics.
TAKE = """
select id, batch_id, key_id, dialect, n, received_at,
    case when batch_id <> all(%(held)s::text[]) then body end from ingestion_batch
where project_id = %(project)s and not parked and id > %(after)s and id <= (
    select max(counted.id)
    from (select id, sum(n) over w as events, sum(octet_length(body)) over w as bytes, row_number() over w as place
          from (select id, n, body from ingestion_batch where project_id = %(project)s and not parked
                and id > %(after)s order by id limit %(events)s) as oldest
          window w as (order by id)) as counted
    where counted.place = 1 or (counted.events <= %(events)s and counted.bytes <= %(bytes)s))
order by id
"""
TAKE_ONE = """
select id, batch_id, key_id, dialect, n, received_at, body from ingestion_batch
where project_id = %s and id = %s and not parked
"""
FORGET = "delete from ingestion_batch where project_id = %s and id = any(%s::bigint[])"
PARK = "update ingestion_batch set parked = true, error = %s where project_id = %s and id = %s"
UNPARK = "update ingestion_batch set parked = false, error = '' where project_id = %s and id = %s and parked"


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A batch in the inbox, accepted and not yet applied."""

    id: int
    batch_id: str
    key: int | None  # None: put back by a person
    dialect: str
    n: int
    received_at: int
    body: bytes


def inbox_is_apart() -> bool:
    """Whether the inbox lives in another database, outside of the apply transaction."""
    return str(settings.INBOX_ALIAS) != "default"


def projects() -> list[int]:
    """Ids of the projects for which batches wait."""
    with bulk_cursor(settings.INBOX_ALIAS) as cursor:
        return [project for (project,) in cursor.execute(PROJECTS)]


def take(project: int, held: Mapping[str, Waiting] = MappingProxyType({}), *, after: int = 0) -> list[Waiting]:
    """The oldest batches of `project`: at least one, then up to EVENTS_A_TURN events and BYTES_A_TURN bytes.

    held: those whose body, which never changes, is here already, by batch id; after: take those above this row id.
    """
    given = {
        "project": project, "events": EVENTS_A_TURN, "bytes": BYTES_A_TURN, "held": list(held), "after": after,
    }  # fmt: skip
    with bulk_cursor(settings.INBOX_ALIAS) as cursor:
        rows = cursor.execute(TAKE, given)
        return [Waiting(*row) if row[-1] is not None else _with_body(row, held[row[1]]) for row in rows]


def _with_body(row: Sequence[Any], held: Waiting) -> Waiting:
    return msgspec.structs.replace(held, id=row[0]) if held.id != row[0] else held


def take_one(project: int, row: int) -> list[Waiting]:
    """The batch with this row id, or nothing when it is gone or parked by now."""
    with bulk_cursor(settings.INBOX_ALIAS) as cursor:
        return [Waiting(*found) for found in cursor.execute(TAKE_ONE, [project, row])]


def forget(cursor: Cursor, project: int, batches: Sequence[Waiting]) -> None:
    """Applied batches leave the inbox: with the transaction of `cursor`, or right after it."""
    rows = [batch.id for batch in batches]
    if inbox_is_apart():
        transaction.on_commit(lambda: _delete(project, rows))
    else:
        cursor.execute(FORGET, [project, array(rows)])


def _delete(project: int, rows: list[int]) -> None:
    with bulk_cursor(settings.INBOX_ALIAS) as cursor:
        # Not prepared: planned while the inbox was empty, it would compare every row with every id.
        cursor.execute(FORGET, [project, array(rows)], prepare=False)


def park(project: int, row: int, error: str) -> None:
    """Set a batch aside that cannot be applied. It stays visible, and blocks nobody."""
    text = error.replace("\x00", "")[:ERROR_LENGTH]
    with bulk_cursor(settings.INBOX_ALIAS) as cursor:
        cursor.execute(PARK, [text, project, row])


def unpark(project: int, row: int) -> bool:
    """Let a parked batch be tried again; False when it is not (or no longer) parked."""
    with bulk_cursor(settings.INBOX_ALIAS) as cursor:
        return cursor.execute(UNPARK, [project, row]).rowcount == 1
