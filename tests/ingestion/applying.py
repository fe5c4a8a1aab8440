"""What the tests of applying share: batches straight into the inbox, and what stands in the tables afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from django.db import connection

from ingestion import tasks
from ingestion.applying import stale
from ingestion.models import Alias, AppliedBatch, Batch, DeadLetter, Event, EventName, Profile, StaleProfiles
from keys.models import Project
from persona.lib import ids

Json = dict[str, Any]

RECEIVED = 1_700_000_000_000  # in November 2023: before any clock these tests run on
_number = count(1)


def put(
    project: Project,
    *events: Json,
    batch_id: str = "",
    received_at: int = RECEIVED,
    key_id: int | None = None,
    **frame: object,
) -> str:
    """One batch into the inbox, as an accepted request leaves it. Its batch id."""
    batch = batch_id or ids.batch_id()
    body = msgspec.json.encode({"batch": events, **frame})
    put_body(project, body, n=len(events), batch_id=batch, received_at=received_at, key_id=key_id)
    return batch


def put_body(
    project: Project,
    body: bytes,
    *,
    n: int = 1,
    batch_id: str = "b_1",
    received_at: int = RECEIVED,
    dialect: str = "pipeline",
    key_id: int | None = None,
) -> None:
    Batch.objects.bulk_create(
        [
            Batch(
                id=next(_number), project=project, batch_id=batch_id, key_id=key_id, dialect=dialect, n=n,
                received_at=received_at, body=body,
            )
        ]
    )  # fmt: skip


def track(event: str = "page_viewed", **fields: Any) -> Json:
    return {"type": "track", "event": event, **fields}


def identify(user: str, traits: Json, **fields: Any) -> Json:
    return {"type": "identify", "userId": user, "traits": traits, **fields}


def alias(previous: str, user: str, **fields: Any) -> Json:
    return {"type": "alias", "previousId": previous, "userId": user, **fields}


def apply_all() -> int:
    """Apply until nothing waits. The number of batches."""
    total = 0
    while done := tasks.apply_some():
        total += done
    return total


def apply_events(project: Project, *events: Json, **frame: Any) -> str:
    batch = put(project, *events, **frame)
    apply_all()
    return batch


def fate(project: Project, batch_id: str) -> tuple[int, int, int]:
    """Stored, duplicates, rejected."""
    row = AppliedBatch.objects.get(project=project, batch_id=batch_id)
    return row.stored, row.duplicates, row.rejected


def profile_of(project: Project, kind: str, external_id: str) -> Profile:
    alias_row = Alias.objects.get(project=project, kind=kind, external_id=external_id)
    return Profile.objects.get(project=project, id=alias_row.profile_id)


def people(project: Project) -> set[frozenset[str]]:
    """The external ids of each profile, as `kind:id`."""
    groups: dict[int, set[str]] = {}
    for row in Alias.objects.filter(project=project):
        groups.setdefault(row.profile_id, set()).add(f"{row.kind}:{row.external_id}")
    return {frozenset(group) for group in groups.values()}


def stored(project: Project) -> list[tuple[str, int, int | None, Json]]:
    """Name, ts, profile and properties of every event, oldest first."""
    names = dict(EventName.objects.filter(project=project).values_list("id", "name"))
    rows = Event.objects.filter(project=project).order_by("ts", "uid")
    return [(names[row.name_id], row.ts, row.profile_id, row.props) for row in rows]


def marks(project: Project) -> dict[int, stale.Mark]:
    """The last mark of each profile."""
    rows = StaleProfiles.objects.filter(project=project).order_by("id")
    found = [mark for row in rows for mark in stale.decode(bytes(row.items))]
    return {mark.profile: mark for mark in found}


def dead_letters(project: Project) -> list[tuple[int, str]]:
    return list(DeadLetter.objects.filter(project=project).order_by("id").values_list("index", "code"))


@contextmanager
def statements(tmp_path: Path) -> Iterator[list[str]]:
    """Every statement that goes to the server meanwhile, as libpq's own trace shows it."""
    found: list[str] = []
    path = tmp_path / "trace"
    with path.open("w") as file:
        connection.ensure_connection()
        connection.connection.pgconn.trace(file.fileno())
        try:
            yield found
        finally:
            connection.connection.pgconn.untrace()
    sent = path.read_text().splitlines()
    found.extend(line for line in sent if "\tF\t" in line and ("\tBind\t" in line or "\tQuery\t" in line))
