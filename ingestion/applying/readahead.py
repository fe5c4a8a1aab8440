"""The next turn's batches, read by a thread while PostgreSQL works on those of this one.

Python lets one thread compute at a time: what is gained is the time in which a turn waits, in ten places of it. Nothing
is decided by it: the next turn asks the inbox, under the lane's lock, which batches are its own, and uses what is read
of them. One project at a time, and no more than a turn takes, so that memory stays bounded.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from ingestion.applying import arrivals, waiting
from ingestion.applying.waiting import Waiting


class Ahead(msgspec.Struct, frozen=True):
    """Batches of the inbox by batch id, and what is read of each."""

    project: int
    batches: Mapping[str, Waiting]
    read: "Future[arrivals.Ready]"


_reader = ThreadPoolExecutor(1, thread_name_prefix="readahead")  # the thread starts with the first batch, after a fork
_ahead: Ahead | None = None


def take(project: int) -> tuple[list[Waiting], arrivals.Ready]:
    """The batches of a turn, and what is read of them already."""
    global _ahead
    ahead, _ahead = _ahead, None
    if ahead is None or ahead.project != project:
        return waiting.take(project), {}
    return waiting.take(project, held=ahead.batches), ahead.read.result()


def begin(project: int, taken: Sequence[Waiting], now: int) -> None:
    """Have the batches after those that a turn has taken read, if these are so many that more may wait.

    now: ms, the database's clock.
    """
    global _ahead
    if 2 * sum(batch.n for batch in taken) <= waiting.EVENTS_A_TURN:
        return
    batches = waiting.take(project, after=taken[-1].id)
    _ahead = Ahead(project, {batch.batch_id: batch for batch in batches}, _reader.submit(_read, batches, now))


def _read(batches: Sequence[Waiting], now: int) -> arrivals.Ready:
    read: dict[tuple[int, str], arrivals.Read] = {}
    for batch in batches:
        if batch.received_at > now:  # that clock is ahead: its events take their instant from the turn's
            continue
        try:
            read[batch.id, batch.batch_id] = arrivals.read_one(batch, now)
        except Exception:  # noqa: S112 - its own turn will say what is wrong with it, and park it
            continue
    return read
