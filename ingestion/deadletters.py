"""Dead letters: events that could not be stored. Read, corrected by a person, and put back into the inbox."""

from collections.abc import Iterable

from ingestion.dialects import DIALECTS
from ingestion.inbox import Row, inbox, unavailable
from ingestion.models import DeadLetter
from keys.audit import Actor, record
from keys.models import Project
from persona.lib.problems import Problem

COMMIT_SECONDS = 10.0


def newest(*, project: Project, before: int | None = None, limit: int = 100) -> list[DeadLetter]:
    """Dead letters of a project, newest first; `before`: the id of the last one of the page before."""
    letters = DeadLetter.objects.filter(project=project)
    if before is not None:
        letters = letters.filter(id__lt=before)
    return list(letters.order_by("-id")[:limit])


def redrive(*, letter: DeadLetter, actor: Actor, event: bytes | None = None) -> str:
    """Put the event of `letter` back into the inbox, corrected as `event` if given. The id of its new batch.

    The letter is gone when that is committed. Raises Problem 400 when the wire refuses the event still, and leaves
    the letter as it is; Problem 503 when the inbox takes nothing.
    """
    body = check(dialect=letter.dialect, event=bytes(letter.body) if event is None else event)
    # The same id whenever it is tried: should this process end before the letter is deleted, nothing comes twice.
    batch_id = f"b_letter_{letter.pk}"
    row = Row(letter.project_id, batch_id, None, letter.dialect, 1, letter.at, body)
    try:
        inbox.put(row).result(COMMIT_SECONDS)
    except TimeoutError:
        raise unavailable() from None
    DeadLetter.objects.filter(project=letter.project_id, id=letter.pk).delete()
    target = f"{letter.batch_id}[{letter.index}]"
    record(
        project=letter.project, actor=actor, action="dead_letter.redriven", target=target, detail={"batch": batch_id}
    )
    return batch_id


def check(*, dialect: str, event: bytes) -> bytes:
    """A body that holds `event` alone. Raises Problem 400 when the wire would refuse it, or it is not one event."""
    body = DIALECTS[dialect].alone(event)
    reading = DIALECTS[dialect].read(body)
    if reading.n != 1:
        raise Problem(400, "dead_letter.not_one_event", "Exactly one event can be put back.")
    for rejection in reading.rejections:
        raise Problem(
            400, rejection.code, f"{rejection.field}: {rejection.detail}" if rejection.field else rejection.detail
        )
    return body


def redrive_all(*, letters: Iterable[DeadLetter], actor: Actor) -> tuple[int, list[str]]:
    """Put all of them back as they are. How many could be, and why the others could not."""
    done, refused = 0, []
    for letter in letters:
        try:
            redrive(letter=letter, actor=actor)
            done += 1
        except Problem as problem:
            refused.append(f"{letter.batch_id}[{letter.index}]: {problem.detail}")
    return done, refused
