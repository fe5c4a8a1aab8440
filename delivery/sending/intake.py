"""Take rows of the change log in for a webhook: a delivery for each that it wants, and the cursor moves, together."""

from collections.abc import Collection, Sequence

import msgspec
from django.db import connection, transaction

from delivery.models import Destination
from delivery.sending import messages, queue
from keys.models import Project
from segments import log
from segments.insight import reading
from segments.log import LogRow

PAGE = 500

# A delivery of a profile that has some waiting waits with them. They are looked up for all rows at once: a max() for
# each would be planned as a walk through everything that waits, in the order of next_at.
INSERT = """
with r as materialized (
    select * from json_to_recordset(%(rows)s) as r(seq bigint, profile bigint, persona bigint, op text, body text)
), behind as materialized (
    select a.profile_id, max(a.next_at) as next_at from delivery_attempt a
    where a.project_id = %(project)s and a.destination_id = %(destination)s and a.status = 'waiting'
      and a.profile_id = any(array(select profile from r)) group by a.profile_id
)
insert into delivery_attempt (project_id, destination_id, kind, status, first_seq, seq, n, profile_id, persona_id, op,
    body, next_at, created_at)
select %(project)s, %(destination)s, 'change', 'waiting', r.seq, r.seq, 1, r.profile, r.persona, r.op, r.body,
    coalesce(behind.next_at, %(now)s), %(now)s
from r left join behind on behind.profile_id = r.profile
where not %(again)s or not exists (select from delivery_attempt a
    where a.project_id = %(project)s and a.destination_id = %(destination)s and a.seq = r.seq and a.kind = 'change')
order by r.seq
"""
GAP = """
insert into delivery_attempt (project_id, destination_id, kind, status, first_seq, seq, n, body, next_at, created_at)
values (%s, %s, 'gap', 'waiting', %s, %s, 0, %s, %s, %s)
"""
MOVE = "update delivery_cursor set seq = greatest(seq, %s) where project_id = %s and destination_id = %s"
LOSE = "update delivery_cursor set lost_from = %s, lost_to = %s, seq = %s where project_id = %s and destination_id = %s"


class Delivery(msgspec.Struct, frozen=True):
    """A row to be inserted."""

    seq: int
    profile: int
    persona: int
    op: str
    body: str


@transaction.atomic
def take_in(destination: Destination, after: int, now: int) -> bool:
    """One page of what comes after the cursor; whether there was any. now: ms."""
    project = destination.project
    if queue.room(project.pk, destination.pk) < PAGE or not queue.stands_at(project.pk, destination.pk, after):
        return False
    oldest, _ = log.bounds(project.pk)
    if after < oldest - 1:
        _lose(destination, after + 1, oldest - 1, now)
        after = oldest - 1
    rows = log.after(project.pk, after, None, PAGE)
    if rows:
        insert(destination, [row for row in rows if wants(destination, row)], now)
        with connection.cursor() as cursor:
            cursor.execute(MOVE, [rows[-1].seq, project.pk, destination.pk])
    return bool(rows)


def wants(destination: Destination, row: LogRow) -> bool:
    """Its filters, and what is said to nobody."""
    return (
        not row.silent
        and (not destination.personas or row.persona in destination.personas)
        and (not destination.ops or row.op in destination.ops)
    )


def insert(destination: Destination, rows: Sequence[LogRow], now: int, *, again: bool = False) -> int:
    """Have `rows` delivered; the number of deliveries. again: only those of which nothing is known here."""
    if not rows:
        return 0
    made = msgspec.json.encode(deliveries(destination.project, rows)).decode()
    values = {"project": destination.project_id, "destination": destination.pk, "now": now, "again": again}
    with connection.cursor() as cursor:
        cursor.execute(INSERT, {**values, "rows": made})
        return int(cursor.rowcount)


def deliveries(project: Project, rows: Collection[LogRow]) -> list[Delivery]:
    """The rows with their messages, in a constant number of queries."""
    before = log.previous(project.pk, rows)
    external = reading.external_ids(project.pk, {row.profile_id for row in rows})
    return [
        Delivery(
            row.seq,
            row.profile_id,
            row.persona_id,
            row.op,
            messages.change(
                project.slug, row, previous=before.get(row.seq), external_ids=external.get(row.profile_id, [])
            ).decode(),
        )
        for row in rows
    ]


def _lose(destination: Destination, first: int, last: int, now: int) -> None:
    """The log was pruned past this destination: it is told once which rows it will never get."""
    project = destination.project
    body = messages.gap(project.slug, first, last).decode()
    with connection.cursor() as cursor:
        cursor.execute(GAP, [project.pk, destination.pk, first, last, body, now, now])
        cursor.execute(LOSE, [first, last, last, project.pk, destination.pk])
