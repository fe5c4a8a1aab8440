"""The course of an import: the records of a file go into the inbox, as fast as they are applied; then all are judged.

Killed at any moment it goes on where it was: a batch has the same id whenever it is cut, so what was put twice is
applied once, and the place in the file is kept when everything before it is committed.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec
from django.db import connection, transaction

from ingestion import imports
from ingestion.accepting.inbox import inbox
from ingestion.accepting.inbox_line import Row
from ingestion.dialects import pipeline
from ingestion.imports import Fate
from keys import audit
from keys.models import Project
from persona.importing.mapping import Map
from persona.importing.portions import Batch, Portion, portions, shape
from persona.importing.records import Source
from persona.importing.refusals import Refusals
from persona.lib import ids
from segments import rejudging
from segments.models import BackfillJob

TOGETHER = 16  # portions between two notes of how far it has come
MOST_WAITING = 20_000  # events in the inbox: what others send is behind them, and waits for half a second
LOOK = 0.05  # seconds between two looks at what waits

Item = TypeVar("Item")


class Stage(msgspec.Struct, frozen=True):
    """Where it is. what: words for a person; done, total: bytes of the file, events, or shards of personas."""

    what: str
    done: int
    total: int
    events: int = 0


class Report(msgspec.Struct, frozen=True):
    """records: of the file; refused: of them no events; letters: (record, code, detail) of some never stored."""

    records: int
    refused: int
    fate: Fate
    parked: int
    letters: list[tuple[int, str, str]]
    personas: int
    was_finished: bool


Told = Callable[[Stage], None]


def run_of(path: Path, mapping: Map | None) -> str:
    """What makes an import this one: the bytes of its file and the meaning of its map."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(mapping.digest.encode() if mapping else b"")
    return digest.hexdigest()[:16]


def bring_in(
    *, project: Project, path: Path, mapping: Map | None, refusals: Path, notify: bool, actor: audit.Actor, told: Told
) -> Report:
    """Import `path`, from where an earlier run of the same has come to. Raises Unusable, Problem (503) or OSError."""
    run = run_of(path, mapping)
    state = imports.begun(project, run, path.name)
    position = state.position
    if not state.finished:
        with Source(path, mapping) as source, Refusals(refusals, position, state.rejected) as refused:
            for some in _together(portions(islice(source.records(), position, None), shape(mapping, run))):
                _put(project, run, some)
                for portion in some:
                    refused.add(portion.refused)
                refused.keep()
                position = some[-1].last
                imports.advance(project, run, position, refused.count)
                told(Stage("read", source.position, source.size, position))
                _wait(lambda: imports.waiting(project, run) <= MOST_WAITING)
        _applied(project, run, told)
        _judge(project, run, path.name, notify=notify, actor=actor)
    personas = _judged(project, told)
    rejected = imports.begun(project, run, path.name).rejected
    found = imports.fate(project, run), imports.parked(project, run), imports.letters(project, run)
    return Report(position, rejected, *found, personas, state.finished)


def _together(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, TOGETHER)):
        yield some


def _put(project: Project, run: str, some: list[Portion]) -> None:
    """Committed, when it returns. Raises Problem when the database is away."""
    pending: list[Future[None]] = [
        inbox.put(_row(project, run, batch)) for portion in some for batch in portion.batches
    ]
    for future in pending:
        future.result()


def _row(project: Project, run: str, batch: Batch) -> Row:
    return Row(
        project_id=project.pk, batch_id=ids.import_batch_id(run, batch.first), key_id=None, dialect=pipeline.NAME,
        n=batch.n, received_at=time.time_ns() // 1_000_000, body=batch.body,
    )  # fmt: skip


def _applied(project: Project, run: str, told: Told) -> None:
    most = max(imports.waiting(project, run), 1)

    def empty() -> bool:
        left = imports.waiting(project, run)
        told(Stage("applied", most - left, most))
        return left == 0

    _wait(empty)


def _judge(project: Project, run: str, name: str, *, notify: bool, actor: audit.Actor) -> None:
    """Once, for all that was imported; and that it is done is known from the same moment on."""
    with transaction.atomic():
        personas = rejudging.judge_again(project, silent=not notify)
        imports.finish(project, run)
        detail: dict[str, object] = {"file": name, "personas": len(personas), "told": notify}
        audit.record(project=project, actor=actor, action="events.imported", target=run, detail=detail)


def _judged(project: Project, told: Told) -> int:
    """Wait for everybody to be judged; the personas that did."""
    jobs = BackfillJob.objects.filter(project=project)
    most = max(jobs.filter(done=False).count(), 1)

    def done() -> bool:
        left = jobs.filter(done=False).count()
        told(Stage("judged", most - left, most))
        return left == 0

    _wait(done)
    return jobs.values("persona_id").distinct().count()


def _wait(condition: Callable[[], bool]) -> None:
    """The workers do it; however long they take, nothing is lost by waiting, or by giving up."""
    while not condition():
        connection.close_if_unusable_or_obsolete()
        time.sleep(LOOK)
