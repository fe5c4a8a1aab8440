"""Dead letters: events that could not be stored. Read, corrected, and put back into the inbox."""

from collections.abc import Iterable
from concurrent.futures import Future

from ingestion.accepting.inbox import inbox, unavailable
from ingestion.accepting.inbox_line import Row
from ingestion.dialects import DIALECTS
from ingestion.models import DeadLetter
from keys.audit import Actor, record
from keys.models import Project
from persona.lib import ids
from persona.lib.problems import Problem

COMMIT_SECONDS = 10.0


def newest(*, project: Project, before: int | None = None, limit: int = 100, batch: str = "") -> list[DeadLetter]:
    """Dead letters of a project (or of one of its batches), newest first; `before`: the id of the last one of the
    page before."""
    letters = DeadLetter.objects.filter(project=project)
    if batch:
        letters = letters.filter(batch_id=batch)
    if before is not None:
        letters = letters.filter(id__lt=before)
    return list(letters.order_by("-id")[:limit])


def redrive(*, letter: DeadLetter, actor: Actor, event: bytes | None = None) -> str:
    """Put the event of `letter` back into the inbox, corrected as `event` if given. The id of its new batch.

    It comes with the clock and context of its first request, as if it had been right then. The letter is gone when
    that is committed. Raises Problem 400 when the wire refuses the event still, and leaves the letter as it is;
    Problem 503 when the inbox takes nothing.
    """
    batch_id, stored = _put(letter, event)
    _finish(letter, actor, batch_id, stored)
    return batch_id


def redrive_all(*, letters: Iterable[DeadLetter], actor: Actor) -> tuple[int, list[str]]:
    """Put all of them back as they are, in few commits. How many could be, and why the others could not."""
    waiting: list[tuple[DeadLetter, str, Future[None]]] = []
    done, refused = 0, []
    for letter in letters:
        try:
            waiting.append((letter, *_put(letter, None)))
        except Problem as problem:
            refused.append(f"{letter.batch_id}[{letter.index}]: {problem.detail}")
    for letter, batch_id, stored in waiting:
        try:
            _finish(letter, actor, batch_id, stored)
            done += 1
        except Problem as problem:
            refused.append(f"{letter.batch_id}[{letter.index}]: {problem.detail}")
    return done, refused


def discard(*, letter: DeadLetter, actor: Actor) -> None:
    """Give the event up."""
    DeadLetter.objects.filter(project=letter.project_id, id=letter.pk).delete()
    target = f"{letter.batch_id}[{letter.index}]"
    record(project=letter.project, actor=actor, action="dead_letter.discarded", target=target)


def discard_all(*, project: Project, code: str, upto: int, actor: Actor) -> int:
    """Give up all events with that code, up to the letter with the id `upto`; how many."""
    gone, _ = DeadLetter.objects.filter(project=project, code=code, id__lte=upto).delete()
    if gone:
        record(project=project, actor=actor, action="dead_letter.discarded", target=code, detail={"letters": gone})
    return gone


def check(*, letter: DeadLetter, event: bytes) -> bytes:
    """A body that holds `event` alone. Raises Problem 400 when the wire would refuse it, or it is not one event."""
    dialect = DIALECTS[letter.dialect]
    reading = dialect.read(dialect.alone(event, b""))
    if reading.n != 1:
        raise Problem(400, "dead_letter.not_one_event", "Exactly one event can be put back.")
    for rejection in reading.rejections:
        raise Problem(
            400, rejection.code, f"{rejection.field}: {rejection.detail}" if rejection.field else rejection.detail
        )
    return dialect.alone(event, bytes(letter.frame))


def _put(letter: DeadLetter, event: bytes | None) -> tuple[str, "Future[None]"]:
    body = check(letter=letter, event=bytes(letter.body) if event is None else event)
    # The same id whenever it is tried: should this process end before the letter is deleted, nothing comes twice.
    batch_id = ids.letter_batch_id(letter.pk, body)
    return batch_id, inbox.put(Row(letter.project_id, batch_id, None, letter.dialect, 1, letter.received_at, body))


def _finish(letter: DeadLetter, actor: Actor, batch_id: str, stored: "Future[None]") -> None:
    try:
        stored.result(COMMIT_SECONDS)
    except TimeoutError:
        raise unavailable() from None
    DeadLetter.objects.filter(project=letter.project_id, id=letter.pk).delete()
    target = f"{letter.batch_id}[{letter.index}]"
    record(
        project=letter.project, actor=actor, action="dead_letter.redriven", target=target, detail={"batch": batch_id}
    )
