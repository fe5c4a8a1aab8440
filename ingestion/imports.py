"""The imports of files: how far each has come, and what became of its batches. Everything by (project, run)."""

import msgspec
from django.conf import settings
from django.db.models import Sum

from ingestion.applying.cursors import bulk_cursor
from ingestion.models import AppliedBatch, Batch, DeadLetter, Import
from keys.models import Project
from persona.lib.ids import IMPORTED

BEGIN = """
insert into ingestion_import (project_id, run, name, position, rejected, started_at)
values (%s, %s, %s, 0, 0, floor(extract(epoch from clock_timestamp()) * 1000)::bigint)
on conflict (project_id, run) do nothing
"""
ADVANCE = """
update ingestion_import set position = %s, rejected = %s where project_id = %s and run = %s and position <= %s
"""
FINISH = """
update ingestion_import set finished_at = floor(extract(epoch from clock_timestamp()) * 1000)::bigint
where project_id = %s and run = %s
"""
MOST_LETTERS = 20  # that are shown


class State(msgspec.Struct, frozen=True):
    """position: how many records of the file are done; rejected: how many of them were no event that can be taken."""

    position: int
    rejected: int
    finished: bool


class Fate(msgspec.Struct, frozen=True):
    """What became of the events of an import, as far as they were applied."""

    stored: int
    duplicates: int
    rejected: int


def begun(project: Project, run: str, name: str) -> State:
    """Where the import stands; at the beginning of the file when it is new."""
    with bulk_cursor() as cursor:
        cursor.execute(BEGIN, [project.pk, run, name])
    row = Import.objects.get(project=project, run=run)
    return State(row.position, row.rejected, row.finished_at is not None)


def advance(project: Project, run: str, position: int, rejected: int) -> None:
    """The records before `position` are in the inbox, or in the file of those that were refused."""
    with bulk_cursor() as cursor:
        cursor.execute(ADVANCE, [position, rejected, project.pk, run, position])


def finish(project: Project, run: str) -> None:
    """Everything was applied. In the transaction that has everybody judged."""
    with bulk_cursor() as cursor:
        cursor.execute(FINISH, [project.pk, run])


def waiting(project: Project, run: str) -> int:
    """How many events of the import lie in the inbox and are still to be applied."""
    rows = Batch.objects.using(settings.INBOX_ALIAS).filter(project=project, parked=False)
    return int(rows.filter(batch_id__startswith=_batches(run)).aggregate(n=Sum("n"))["n"] or 0)


def parked(project: Project, run: str) -> int:
    """How many batches of the import could not be applied at all."""
    rows = Batch.objects.using(settings.INBOX_ALIAS).filter(project=project, parked=True)
    return rows.filter(batch_id__startswith=_batches(run)).count()


def fate(project: Project, run: str) -> Fate:
    """Of batches that were applied in the last week: what is older is forgotten."""
    rows = AppliedBatch.objects.filter(project=project, batch_id__startswith=_batches(run))
    found = rows.aggregate(stored=Sum("stored"), duplicates=Sum("duplicates"), rejected=Sum("rejected"))
    return Fate(**{name: int(value or 0) for name, value in found.items()})


def letters(project: Project, run: str) -> list[tuple[int, str, str]]:
    """Events that could not be stored after all: the number of the record, the code, what is wrong. The first few."""
    rows = DeadLetter.objects.filter(project=project, batch_id__startswith=_batches(run)).order_by("id")
    found = rows.values_list("batch_id", "index", "code", "detail")[:MOST_LETTERS]
    return [(int(batch.rpartition("_")[2]) + index, code, detail) for batch, index, code, detail in found]


def _batches(run: str) -> str:
    return f"{IMPORTED}{run}_"
