"""Values of a record: found by the name of their column, and read as the map says. Pure; each raises Unfit."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from ingestion.storable import Unfit
from persona.lib.clock import milliseconds, parse_instant, rfc3339

MISSING = (None, "")
EARLIEST_IN_MS = 100_000_000_000  # a number of at least this is milliseconds, as in rules


def found(record: Mapping[str, Any], path: str) -> Any:
    """The whole key first, then dots descend."""
    if path in record:
        return record[path]
    value: Any = record
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def _number(value: Any, column: str) -> int | float | None:
    if value in MISSING:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        text = str(value).strip()
        number = int(text) if text.lstrip("+-").isdecimal() else float(text)
    except ValueError:
        raise Unfit("event.field_type", column, f"{str(value)[:80]!r} is no number.") from None
    if number != number or abs(number) == float("inf"):
        raise Unfit("event.field_type", column, f"{str(value)[:80]!r} is no number.")
    return number


BOOLEANS = {"true": True, "1": True, "yes": True, "t": True, "false": False, "0": False, "no": False, "f": False}


def _boolean(value: Any, column: str) -> bool | None:
    if value in MISSING:
        return None
    if (known := BOOLEANS.get(str(value).strip().lower())) is None:
        raise Unfit("event.field_type", column, f"{str(value)[:80]!r} is neither true nor false.")
    return known


def _text(value: Any, _: str) -> str | None:
    return None if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()


CASTS: dict[str | None, Callable[[Any, str], Any]] = {
    None: lambda value, _: value, "text": _text, "number": _number, "boolean": _boolean,
}  # fmt: skip


def instant(value: Any, column: str, form: str | None, zone: ZoneInfo) -> str:
    """RFC 3339. form: of `strptime`, else ISO 8601 or a number; zone: of those that name no offset."""
    if value in MISSING:
        raise Unfit("event.field_missing", column, "The column with the instant is empty.")
    try:
        if form:
            moment = datetime.strptime(str(value), form)  # noqa: DTZ007 - the zone is put in right below
            return rfc3339(milliseconds(moment.replace(tzinfo=moment.tzinfo or zone).astimezone(UTC)))
        if isinstance(value, int | float) or str(value).strip().isdecimal():
            number = float(value)
            return rfc3339(int(number if number >= EARLIEST_IN_MS else number * 1_000))
        if (moment_ms := parse_instant(str(value))) is not None:
            return rfc3339(moment_ms if _has_offset(str(value)) else _moved(moment_ms, zone))
    except (ValueError, OverflowError, OSError):
        pass  # said below, as for what is no instant at all
    raise Unfit("event.timestamp_invalid", column, f"{str(value)[:80]!r} is no instant as the map describes it.")


def _has_offset(text: str) -> bool:
    clock = text.strip()[10:]
    return clock[-1:] in ("Z", "z") or "+" in clock or "-" in clock


def _moved(wall_ms: int, zone: ZoneInfo) -> int:
    """A wall clock that was read as UTC, read in its own zone."""
    wall = datetime.fromtimestamp(wall_ms // 1_000, UTC).replace(tzinfo=zone)
    return milliseconds(wall.astimezone(UTC)) + wall_ms % 1_000
