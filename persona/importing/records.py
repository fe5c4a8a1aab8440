"""The records of a file, one after the other: NDJSON or CSV, compressed or not. Memory stays that of one record."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from ingestion.events import EVENT_BYTES
from ingestion.storable import Unfit
from persona.importing.mapping import Map, Unusable

Json = dict[str, Any]
MOST_BYTES = 4 * EVENT_BYTES  # of a line that is looked at: names of columns may be longer than what they become
ENDINGS = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}

_decode = msgspec.json.Decoder().decode


class Record(msgspec.Struct, frozen=True):
    """number: from 1, the header and empty lines not counted; line: on which it begins; raw: as it stands there; fault:
    why it cannot be read, else `value` is what it says."""

    number: int
    line: int
    raw: bytes
    value: Json = {}
    fault: Unfit | None = None


class Source:
    """An open file. `position`: bytes of it that were read, of `size`."""

    def __init__(self, path: Path, mapping: Map | None) -> None:
        self.form = _form(path)
        self.size = path.stat().st_size
        self._mapping = mapping
        self._raw = path.open("rb")
        self._bytes: IO[bytes] = self._raw
        self._text: IO[str] | None = None  # kept until the end: it closes the file when nobody holds it any more
        if path.suffix == ".gz":
            self._bytes = gzip.GzipFile(fileobj=self._raw)  # type: ignore[assignment]  # it reads as any file does

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()

    @property
    def position(self) -> int:
        return self._raw.tell()

    def records(self) -> Iterator[Record]:
        """All of them. Raises Unusable when the header of a CSV file does not suit the map; OSError when the file is
        damaged."""
        if self.form == "ndjson":
            return self._ndjson()
        if self._mapping is None:
            raise Unusable("A CSV file needs a map: --map FILE.")
        return self._csv(self._mapping)

    def _ndjson(self) -> Iterator[Record]:
        number = 0
        for line, raw, whole in self._lines():
            if not raw.strip():
                continue
            number += 1
            yield _of_json(number, line, raw, whole=whole)

    def _lines(self) -> Iterator[tuple[int, bytes, bool]]:
        """Number, text, and whether all of the line is in it: of one that is too long only the beginning is kept."""
        line = 0
        while raw := self._bytes.readline(MOST_BYTES):
            line += 1
            whole = raw.endswith(b"\n") or len(raw) < MOST_BYTES
            rest = b"" if whole else raw
            while rest and not rest.endswith(b"\n"):
                rest = self._bytes.readline(MOST_BYTES)
            yield line, raw.strip(b"\r\n"), whole

    def _csv(self, mapping: Map) -> Iterator[Record]:
        given = mapping.document
        try:
            self._text = io.TextIOWrapper(self._bytes, _encoding(given.encoding), errors="surrogateescape", newline="")
            rows = csv.reader(self._text, delimiter=given.delimiter)
        except (LookupError, TypeError) as error:
            raise Unusable(f"The map: {error}.") from None
        csv.field_size_limit(MOST_BYTES)
        header = next(rows, [])
        if len(set(header)) != len(header) or not header:
            raise Unusable("The first line of a CSV file names its columns, each by a name of its own.")
        mapping.check_header(header)
        yield from _rows(rows, header)


def _rows(rows: Any, header: list[str]) -> Iterator[Record]:
    number = 0
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield Record(number, line, b"", fault=Unfit("record.unreadable", "", f"No record of CSV: {error}."))
            continue
        if row:
            number += 1
            yield _of_row(number, line, row, header)


def _of_row(number: int, line: int, row: list[str], header: list[str]) -> Record:
    raw = msgspec.json.encode([value.encode(errors="surrogateescape").decode(errors="replace") for value in row])
    if len(row) != len(header):
        detail = f"{len(row)} values, where the header names {len(header)} columns."
        return Record(number, line, raw, fault=Unfit("record.unreadable", "", detail))
    if any("\udc80" <= char <= "\udcff" for value in row if not value.isascii() for char in value):
        return Record(number, line, raw, fault=Unfit("event.text_invalid", "", "Bytes that are not of the encoding."))
    return Record(number, line, raw, dict(zip(header, row, strict=True)))


def _of_json(number: int, line: int, raw: bytes, *, whole: bool) -> Record:
    if not whole:
        fault = Unfit("event.too_large", "", f"A line of more than {MOST_BYTES} bytes.")
        return Record(number, line, raw[:200], fault=fault)
    try:
        value = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        detail = "Nested too deeply." if isinstance(error, RecursionError) else f"{error}."
        return Record(number, line, raw, fault=Unfit("record.unreadable", "", f"No JSON: {detail}"))
    if not isinstance(value, dict):
        return Record(number, line, raw, fault=Unfit("event.not_an_object", "", "A line is one JSON object."))
    return Record(number, line, raw, value)


def _form(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    form = ENDINGS.get(Path(name).suffix.lower())
    if form is None:
        raise Unusable(f"{path.name}: the name of the file ends in .ndjson, .jsonl or .csv, and perhaps .gz.")
    return form


def _encoding(name: str) -> str:
    """UTF-8 may begin with a mark that is none of its text."""
    return "utf-8-sig" if name.lower().replace("_", "-") in ("utf-8", "utf8") else name
