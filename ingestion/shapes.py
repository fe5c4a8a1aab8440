"""What the API of ingestion takes and answers: batches, dead letters, statistics, and the bodies of other products."""

from typing import Annotated, Any, Literal

import msgspec

from ingestion.models import Batch, DeadLetter
from persona.lib.clock import rfc3339

AT_ONCE = 100  # letters put back with one request

Object = dict[str, Any]
Events = list[Object]


class Correction(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a redrive: the event as it should have been; nothing to send it as it was."""

    event: msgspec.Raw = msgspec.Raw()


class Chosen(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a redrive of several."""

    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=AT_ONCE)]


class LetterShown(msgspec.Struct):
    """A dead letter. `event` is what was sent, as text: it may be anything but JSON."""

    id: str
    batchId: str  # noqa: N815 - as the wire writes it
    index: int
    wire: str
    code: str
    detail: str
    received_at: str
    at: str
    event: str


class LetterPage(msgspec.Struct):
    """A page, newest first."""

    results: list[LetterShown]
    next: str | None


class Redriven(msgspec.Struct):
    """The batch in which it comes again."""

    batchId: str  # noqa: N815 - as the wire writes it


class RedrivenSome(msgspec.Struct):
    """How many came again, and why the others stay."""

    redriven: int
    refused: list[str]


class ParkedShown(msgspec.Struct):
    """A batch that could not be applied at all."""

    batchId: str  # noqa: N815 - as the wire writes it
    wire: str
    events: int
    received_at: str
    error: str


class ParkedPage(msgspec.Struct):
    """A page, oldest first."""

    results: list[ParkedShown]
    next: str | None


class Tried(msgspec.Struct):
    """A parked batch that waits again."""

    batchId: str  # noqa: N815 - as the wire writes it
    status: Literal["pending"] = "pending"


class BatchState(msgspec.Struct, omit_defaults=True):
    """What became of a batch; the counts once it is applied, the error when it is parked."""

    batchId: str  # noqa: N815 - as the wire writes it
    status: Literal["pending", "applied", "parked"]
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    error: str = ""


class Bucket(msgspec.Struct):
    """An hour or a day."""

    bucket: str
    event_count: int
    unique_users: int


class EventType(msgspec.Struct):
    """How often an event came."""

    event_type: str
    count: int


class Statistics(msgspec.Struct):
    """What came in. window: 24h by the hour, 7d by the day."""

    window: Literal["24h", "7d"]
    total_events: int
    unique_users: int
    timeseries: list[Bucket]
    event_types: list[EventType]


class RecentError(msgspec.Struct):
    """An event that could not be stored."""

    ts: str
    error_type: str
    detail: str


def letter_shown(letter: DeadLetter) -> LetterShown:
    return LetterShown(
        id=str(letter.pk),
        batchId=letter.batch_id,
        index=letter.index,
        wire=letter.dialect,
        code=letter.code,
        detail=letter.detail,
        received_at=rfc3339(letter.received_at),
        at=rfc3339(letter.at),
        event=bytes(letter.body).decode(errors="replace"),
    )


def parked_shown(batch: Batch) -> ParkedShown:
    return ParkedShown(batch.batch_id, batch.dialect, batch.n, rfc3339(batch.received_at), batch.error)
