"""Durations and windows, as they stand in a document."""

from collections.abc import Callable
from typing import Any

from persona.lib.clock import MS_PER_DAY, parse_duration, parse_instant
from segments.rules.errors import RuleError
from segments.rules.nodes import Absolute, Between, Last, Window
from segments.rules.operands import a_list, record


def read_window(given: object, path: str, retention: int | None) -> Window:
    """One of WINDOWS, told by its keys. retention: ms, the longest there can be; None: not judged."""
    for key, read in WINDOWS.items():
        if isinstance(given, dict) and key in given:
            return read(given, path, retention)
    raise RuleError(path, 'A window is {"last": "P30D"}, {"between": ["P90D", "P30D"]} or {"from": ..., "to": ...}.')


def read_duration(given: object, path: str, retention: int | None) -> int:
    """Milliseconds, more than none and no more than events are kept."""
    duration = parse_duration(given) if isinstance(given, str) else None
    if duration is None:
        raise RuleError(path, "A duration is written in days, hours, minutes, seconds: P30D, PT12H, P1DT30M, PT0.5S.")
    if duration < 1:
        raise RuleError(path, "A duration is longer than nothing: PT1S, P1D, ...")
    if retention is not None and duration > retention:
        days = retention // MS_PER_DAY
        raise RuleError(path, f"Events count for {days} days in this project: nothing is longer than P{days}D.")
    return duration


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
    start, end = (_instant(given[key], f"{path}.{key}") for key in ("from", "to"))
    if start >= end:
        raise RuleError(f"{path}.to", "The end of a window lies after its beginning.")
    return Absolute(given["from"], given["to"])


def _instant(given: object, path: str) -> int:
    instant = parse_instant(given) if isinstance(given, str) else None
    if instant is None:
        raise RuleError(path, "An instant is written as 2026-06-09T10:14:05Z, with Z or an offset.")
    return instant


WINDOWS: dict[str, Callable[[Any, str, int | None], Window]] = {
    "last": _last,
    "between": _between,
    "from": _absolute,
    "to": _absolute,
}
