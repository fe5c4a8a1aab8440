"""Records become batches of events, or are refused. Cut in the same way whenever it begins at the same place.

A batch holds neighbors only, so that its first record and the index of an event say which record that was.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from ingestion.dialects import pipeline
from ingestion.events import EVENT_BYTES
from ingestion.storable import Unfit
from persona.importing.mapping import Json, Map
from persona.importing.records import Record

EVENTS = pipeline.LIMITS.events
BYTES = 1024 * 1024

Shape = Callable[[Record], Json]


class Batch(msgspec.Struct, frozen=True):
    """Events as our own wire writes them; `first`: the number of the first one's record."""

    first: int
    n: int
    body: bytes


class Refused(msgspec.Struct, frozen=True):
    """A record that is no event that can be stored."""

    record: int
    line: int
    code: str
    field: str
    detail: str
    raw: str


class Portion(msgspec.Struct, frozen=True):
    """Neighboring records, the last of them `last`."""

    last: int
    batches: list[Batch]
    refused: list[Refused]


def shape(mapping: Map | None, run: str) -> Shape:
    """How a record becomes an event: by the map, or it is one already."""
    if mapping is None:
        return lambda record: {"messageId": f"import:{run}:{record.number}", **record.value}
    return lambda record: mapping.event(record.value, run, record.number, record.raw)


def portions(records: Iterable[Record], to_event: Shape) -> Iterator[Portion]:
    """All of `records`, a few hundred at a time."""
    events: list[tuple[Record, bytes]] = []
    refused: list[Refused] = []
    size = 0
    last = 0
    for record in records:
        last = record.number
        try:
            text = _encoded(record, to_event)
        except Unfit as unfit:
            refused.append(_refused(record, unfit))
            yield _portion(last, events, refused)
            events, refused, size = [], [], 0
            continue
        events.append((record, text))
        size += len(text)
        if len(events) == EVENTS or size >= BYTES:
            yield _portion(last, events, refused)
            events, refused, size = [], [], 0
    if events:
        yield _portion(last, events, refused)


def _encoded(record: Record, to_event: Shape) -> bytes:
    """Raises Unfit."""
    if record.fault is not None:
        raise record.fault
    try:
        text = msgspec.json.encode(to_event(record))
    except (UnicodeEncodeError, OverflowError):
        raise Unfit("event.text_invalid", "", "A text or number that JSON cannot write.") from None
    if len(text) > EVENT_BYTES:
        raise Unfit("event.too_large", "", f"An event may have {EVENT_BYTES} bytes; this one has {len(text)}.")
    return text


def _portion(last: int, events: list[tuple[Record, bytes]], refused: list[Refused]) -> Portion:
    """Held to the rules of our own wire before anything is stored: what it refuses is refused with its line."""
    if not events:
        return Portion(last, [], refused)
    faults = {bad.index: bad for bad in pipeline.read(_body([text for _, text in events])).rejections}
    batches: list[Batch] = []
    run: list[bytes] = []
    for index, (record, text) in enumerate(events):
        if (bad := faults.get(index)) is None:
            run.append(text)
            continue
        refused.append(_refused(record, Unfit(bad.code, bad.field, bad.detail)))
        batches.extend(_batch(record.number - len(run), run))
        run = []
    batches.extend(_batch(events[-1][0].number - len(run) + 1, run))
    return Portion(last, batches, sorted(refused, key=lambda one: one.record))


def _batch(first: int, run: list[bytes]) -> Iterable[Batch]:
    return [Batch(first, len(run), _body(run))] if run else []


def _body(events: list[bytes]) -> bytes:
    return b'{"batch":[' + b",".join(events) + b"]}"


def _refused(record: Record, unfit: Unfit) -> Refused:
    raw = record.raw[:EVENT_BYTES].decode(errors="replace")
    return Refused(record.number, record.line, unfit.code, unfit.field, unfit.detail, raw)
