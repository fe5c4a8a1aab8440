"""Take rows of the log of applied events in for an analytics product: batches of references; the events are read when
they are sent, so that what was erased meanwhile is not sent."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from django.db import connection, transaction

from delivery.models import Destination
from delivery.outgoing import Happened, Item
from delivery.sending import queue
from delivery.sending.intake import MOVE
from ingestion import log
from ingestion.log import AppliedRow
from ingestion.models import Alias

PAGE = 50  # apply transactions

INSERT = """
insert into delivery_attempt (project_id, destination_id, kind, status, first_seq, seq, n, body, next_at, created_at)
select %(project)s, %(destination)s, 'events', 'waiting', r.first, r.last, r.n, r.refs, %(now)s, %(now)s
from json_to_recordset(%(batches)s) as r(first bigint, last bigint, n integer, refs text)
"""


class Ref(msgspec.Struct, frozen=True):
    """Which event: its uid (hex) and what finds it quickly."""

    id: str
    name: str
    ts: int
    received_at: int


class Batch(msgspec.Struct, frozen=True):
    """References of one request. first, last: rows of the log they come from."""

    first: int
    last: int
    n: int
    refs: str


@transaction.atomic
def take_in(destination: Destination, after: int, now: int, *, batch: int) -> bool:
    """One page of what comes after the cursor; whether there was any. batch: events of a request."""
    project = destination.project_id
    rows = log.after(project, after, PAGE) if queue.room(project, destination.pk) > PAGE else []
    if not rows or not queue.stands_at(project, destination.pk, after):
        return False
    batches = msgspec.json.encode(list(_batches(rows, batch))).decode()
    with connection.cursor() as cursor:
        cursor.execute(INSERT, {"project": project, "destination": destination.pk, "now": now, "batches": batches})
        cursor.execute(MOVE, [rows[-1].seq, project, destination.pk])
    return True


def refs_of(body: str) -> list[Ref]:
    return msgspec.json.decode(body, type=list[Ref])


def encoded(refs: Iterable[Ref]) -> str:
    return msgspec.json.encode(list(refs)).decode()


def items(project: int, refs: Sequence[Ref]) -> list[Item]:
    """The events as they are stored now, with the ids of their owners."""
    stored = log.stored(project, [msgspec.to_builtins(ref) for ref in refs])
    owners = {event.profile_id for event in stored.values() if event.profile_id is not None}
    users, devices = _ids(project, owners)
    return [
        Item(
            ref.id,
            event=Happened(
                id=ref.id,
                name=ref.name,
                at=ref.ts,
                user=users.get(stored[ref.id].profile_id),
                device=devices.get(stored[ref.id].profile_id),
                properties=_properties(stored[ref.id].props),
            ),
        )
        for ref in refs
        if ref.id in stored
    ]


def _properties(props: bytes) -> dict[str, Any]:
    return msgspec.json.decode(props, type=dict[str, Any])


def _ids(project: int, owners: Iterable[int]) -> tuple[dict[int | None, str], dict[int | None, str]]:
    users: dict[int | None, str] = {}
    devices: dict[int | None, str] = {}
    for row in Alias.objects.filter(project_id=project, profile_id__in=list(owners)).order_by("external_id"):
        (users if row.kind == Alias.Kind.USER else devices).setdefault(row.profile_id, row.external_id)
    return users, devices


def _batches(rows: Iterable[AppliedRow], size: int) -> Iterator[Batch]:
    """Stored events in the order of the log, `size` at a time."""
    events = (
        (row.seq, event) for row in rows for event in row.events if event["outcome"] == "stored" and "name" in event
    )
    while page := list(islice(events, size)):
        refs = [Ref(event["id"], event["name"], event["ts"], event["received_at"]) for _, event in page]
        yield Batch(page[0][0], page[-1][0], len(refs), encoded(refs))
