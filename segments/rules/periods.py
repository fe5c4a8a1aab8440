"""Durations and windows, as they stand in a document."""

from collections.abc import Callable
from typing import Any

from persona.lib.clock import MS_PER_DAY, parse_duration, parse_instant
from segments.rules.calendars import UNITS, longest, zones
from segments.rules.errors import RuleError
from segments.rules.nodes import Absolute, Between, Calendar, Last, Window
from segments.rules.operands import a_list, duration, instant, instead, record, whole

BACK = 10_000  # periods
SHAPES = (
    'A window is {"last": "P30D"}, {"between": ["P90D", "P30D"]}, {"from": ..., "to": ...} '
    'or {"calendar": "day", "back": 0, "tz": "Europe/Istanbul"}.'
)


def read_window(given: object, path: str, retention: int | None) -> Window:
    """One of WINDOWS, told by its keys. retention: ms, the longest there can be; None: not judged."""
    for key, read in WINDOWS.items():
        if isinstance(given, dict) and key in given:
            return read(given, path, retention)
    raise RuleError(path, SHAPES)


def read_duration(given: object, path: str, retention: int | None) -> int:
    """Milliseconds, more than none and no more than events are kept."""
    length = parse_duration(duration(given, path)) or 0
    if retention is not None and length > retention:
        days = retention // MS_PER_DAY
        raise RuleError(path, f"Events count for {days} days in this project: nothing is longer than P{days}D.")
    return length


def _last(given: Any, path: str, retention: int | None) -> Window:
    record(given, path, needed=("last",), what="a window")
    read_duration(given["last"], f"{path}.last", retention)
    return Last(given["last"])


def _between(given: Any, path: str, retention: int | None) -> Window:
    record(given, path, needed=("between",), what="a window")
    ages = a_list(given["between"], f"{path}.between", "ages", 2)
    lengths = [read_duration(age, f"{path}.between[{index}]", retention) for index, age in enumerate(ages)]
    if len(lengths) != 2 or lengths[0] <= lengths[1]:
        raise RuleError(f"{path}.between", 'Two ages, the greater one first: ["P90D", "P30D"].')
    return Between((ages[0], ages[1]))


def _absolute(given: Any, path: str, _: int | None) -> Window:
    record(given, path, needed=("from", "to"), what="a window")
    start, end = (parse_instant(instant(given[key], f"{path}.{key}")) or 0 for key in ("from", "to"))
    if start >= end:
        raise RuleError(f"{path}.to", "The end of a window lies after its beginning.")
    return Absolute(given["from"], given["to"])


def _calendar(given: Any, path: str, retention: int | None) -> Window:
    record(given, path, needed=("calendar", "back", "tz"), what="a window")
    unit, back, tz = given["calendar"], whole(given["back"]), given["tz"]
    if not isinstance(unit, str) or unit not in UNITS:
        raise RuleError(f"{path}.calendar", f"calendar is {' or '.join(UNITS)}{instead(unit)}.")
    if back is None or not 0 <= back <= BACK:
        raise RuleError(
            f"{path}.back", f"A whole number, how many periods before the current one{instead(given['back'])}."
        )
    if retention is not None and longest(unit, back + 1) * MS_PER_DAY > retention:
        days = retention // MS_PER_DAY
        raise RuleError(f"{path}.back", f"Events count for {days} days in this project: this goes further back.")
    if not isinstance(tz, str) or tz not in zones():
        raise RuleError(f"{path}.tz", f"A time zone is named as in Europe/Istanbul{instead(tz)}.")
    return Calendar(unit, back, tz)


WINDOWS: dict[str, Callable[[Any, str, int | None], Window]] = {
    "last": _last,
    "between": _between,
    "from": _absolute,
    "to": _absolute,
    "calendar": _calendar,
}
