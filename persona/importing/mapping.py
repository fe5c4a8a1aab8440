"""The map of an import: which column of a file becomes what of an event. A document, checked as a whole. Pure.

A text names a column (of JSON: a path; dots descend); `{value: ...}` is the same for every record.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ingestion.storable import Unfit
from persona.importing import values

Json = dict[str, Any]


class Unusable(ValueError):
    """The map cannot be used; one line for a person."""


class Column(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"kind": "as"}):
    """A column, and what its text means."""

    column: str
    kind: Literal["text", "number", "boolean"] | None = None


class Same(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The same for every record."""

    value: str | int | float | bool


class Instant(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A column with instants. format: of `strptime`; without one ISO 8601 or a number of seconds or milliseconds since
    1970; tz: of those that name no offset."""

    column: str
    format: str | None = None
    tz: str = "UTC"


class Made(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An id that is no column: by the record's place in this file, or by all that it says."""

    by: Literal["record", "content"]


Field = str | dict[str, Any]


class Document(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """As it is written. id and timestamp are required: an import says what is the same event, and when it happened."""

    id: Field
    timestamp: Field
    type: Field = msgspec.field(default_factory=lambda: {"value": "track"})
    event: Field | None = None
    user_id: Field | None = None
    anonymous_id: Field | None = None
    previous_id: Field | None = None
    name: Field | None = None
    group_id: Field | None = None
    properties: dict[str, Field] = {}
    traits: dict[str, Field] = {}
    context: dict[str, Field] = {}
    others: Literal["properties", "traits", "drop"] | None = None
    delimiter: str = ","
    encoding: str = "utf-8"


Reader = Callable[[Json], Any]
SINGLE = ("type", "event", "user_id", "anonymous_id", "previous_id", "name", "group_id")
OBJECTS = ("properties", "traits", "context")


class Map:
    """A document that can be used. `event(record, number)`: the record as an event of our own wire."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.columns: set[str] = set()  # that it names
        self._singles = {
            _camel(name): self._reader(getattr(document, name), name)
            for name in SINGLE
            if getattr(document, name) is not None
        }
        self._objects = {
            name: {key: self._reader(given, f"{name}.{key}") for key, given in getattr(document, name).items()}
            for name in OBJECTS
        }
        self._timestamp = self._instant(document.timestamp)
        self._id = self._identity(document.id)

    @property
    def digest(self) -> str:
        """The same for maps that mean the same."""
        return hashlib.sha256(msgspec.json.encode(self.document, order="sorted")).hexdigest()

    def check_header(self, header: Iterable[str]) -> None:
        """Raises Unusable when it names a column that is not there, or one that is there is not spoken of."""
        there = set(header)
        if unknown := sorted(self.columns - there):
            raise Unusable(f"The map names {_listed(unknown)}; the columns of the file are {_listed(sorted(there))}.")
        if self.document.others is None and (unsaid := sorted(there - self.columns)):
            detail = "Say `others: properties`, `others: traits` or `others: drop`."
            raise Unusable(f"The map says nothing of {_listed(unsaid)}. {detail}")

    def event(self, record: Json, run: str, number: int, raw: bytes) -> Json:
        """Raises Unfit when a value is not what the map says of its column."""
        event: Json = {"messageId": self._id(record) or self._made(run, number, raw)}
        event["timestamp"] = self._timestamp(record)
        for name, read in self._singles.items():
            if (value := read(record)) not in values.MISSING:
                event[name] = value
        for name, readers in self._objects.items():
            found = {key: read(record) for key, read in readers.items()}
            if kept := {key: value for key, value in found.items() if value not in values.MISSING}:
                event[name] = kept
        if self.document.others in OBJECTS:
            rest = {
                key: value for key, value in record.items() if key not in self.columns and value not in values.MISSING
            }
            event[str(self.document.others)] = {**rest, **event.get(str(self.document.others), {})}
        return event

    def _made(self, run: str, number: int, raw: bytes) -> str:
        made = msgspec.convert(self.document.id, Made)
        return f"import:{run}:{number}" if made.by == "record" else f"import:{hashlib.sha256(raw).hexdigest()}"

    def _identity(self, given: Field) -> Reader:
        if isinstance(given, dict) and "by" in given:
            _converted(given, Made, "id")
            return lambda _: None
        read = self._reader(given, "id")

        def there(record: Json) -> Any:
            if (value := read(record)) in values.MISSING:
                raise Unfit("event.field_missing", "id", "The column that the map calls the id is empty.")
            return value

        return there

    def _reader(self, given: Field, field: str) -> Reader:
        if isinstance(given, dict) and "value" in given:
            same = _converted(given, Same, field).value
            return lambda _: same
        column = Column(given) if isinstance(given, str) else _converted(given, Column, field)
        self.columns.add(column.column)
        cast = values.CASTS[column.kind]
        return lambda record: cast(values.found(record, column.column), column.column)

    def _instant(self, given: Field) -> Reader:
        instant = Instant(given) if isinstance(given, str) else _converted(given, Instant, "timestamp")
        self.columns.add(instant.column)
        try:
            zone = ZoneInfo(instant.tz)
        except (ZoneInfoNotFoundError, ValueError):
            raise Unusable(f"timestamp: there is no time zone {instant.tz!r}.") from None
        return lambda record: values.instant(values.found(record, instant.column), instant.column, instant.format, zone)


def read_map(document: object) -> Map:
    """A document of YAML or JSON. Raises Unusable."""
    try:
        return Map(msgspec.convert(document, Document))
    except msgspec.ValidationError as error:
        raise Unusable(f"The map: {error}.") from None


def _converted(given: Json, kind: type[Any], field: str) -> Any:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise Unusable(f"{field}: {error}.") from None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
