"""The next turn's batches, read while PostgreSQL writes those of this one.

Nothing is decided by it: the next turn asks the inbox, under the lane's lock, which batches are its own, and uses what
is ready of them. One project at a time, and no more than a turn takes, so that memory stays bounded.
"""

from collections.abc import Mapping, Sequence

import msgspec

from ingestion import arrivals, waiting
from ingestion.waiting import Waiting


class Ready(msgspec.Struct, frozen=True):
    """Batches of the inbox by batch id, and what was read of each."""

    project: int
    batches: Mapping[str, Waiting]
    read: arrivals.Ready


NOTHING = Ready(0, {}, {})  # no project has this number

_ready = NOTHING


def take(project: int) -> tuple[list[Waiting], arrivals.Ready]:
    """The batches of a turn, and what is read of them already."""
    global _ready
    ready, _ready = _ready, NOTHING
    if ready.project != project:
        ready = NOTHING
    return waiting.take(project, held=ready.batches), ready.read


def fetch(project: int, taken: Sequence[Waiting]) -> list[Waiting]:
    """The batches after those that a turn has taken, if these are so many that more may wait; for `prepare`."""
    is_full = 2 * sum(batch.n for batch in taken) > waiting.EVENTS_A_TURN
    return waiting.take(project, after=taken[-1].id) if is_full else []


def prepare(project: int, batches: Sequence[Waiting], now: int) -> None:
    """Read `batches`, taken out of the inbox at `now` (ms, the database's clock)."""
    global _ready
    read: dict[tuple[int, str], arrivals.Read] = {}
    for batch in batches:
        if batch.received_at > now:  # that clock is ahead: its events take their instant from the turn's
            continue
        try:
            read[batch.id, batch.batch_id] = arrivals.read_one(batch, now)
        except Exception:  # noqa: S112 - its own turn will say what is wrong with it, and park it
            continue
    _ready = Ready(project, {batch.batch_id: batch for batch in batches}, read)
