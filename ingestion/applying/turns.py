"""What the rooms of a turn of the writer tell one another. Frozen, and no database."""

from collections.abc import Mapping, Sequence

import msgspec

from ingestion.applying.acquaintances import Memory
from ingestion.applying.identity import People
from ingestion.applying.outcomes import Counted, Outcome
from ingestion.applying.traits import Sheet
from ingestion.applying.waiting import Waiting


class Lane(msgspec.Struct, frozen=True):
    """A project whose writer lane is locked by this transaction. judged: its turns leave marks; has_erased: some
    profile of it was erased."""

    project: int
    shards: int
    watched_until: int
    people_version: int
    judged: bool
    has_erased: bool


class Turn(msgspec.Struct, frozen=True):
    """What one turn has found out, when all that is left is to write it down."""

    lane: Lane
    now: int
    batches: Sequence[Waiting]  # without those that were applied before
    outcomes: list[Outcome]
    names: Mapping[str, int]
    memory: Memory
    people: People
    sheets: Mapping[int, Sheet]
    counted: Counted
