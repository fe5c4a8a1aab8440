"""The small parts of a document, read strictly: records, lists, texts, and the values that comparators take."""

import json
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

from persona.lib.clock import parse_duration, parse_instant
from segments.rules.compare import MAX, as_kept, kind
from segments.rules.errors import RuleError

IN_VALUES = 1_000
TEXT_LENGTH = 1_000
TALLY = 9_999  # of one name, at most 10,000 events of a profile are looked at


def record(
    given: object, path: str, *, needed: Collection[str], what: str, allowed: Collection[str] = ()
) -> dict[str, Any]:
    """The object, with all keys that are needed and none that is unknown."""
    known = [*needed, *allowed]
    if not isinstance(given, dict):
        raise RuleError(path, f"{_sentence(what)} is an object with {', '.join(known)}.")
    for key in given:
        if key not in known:
            raise RuleError(
                _below(path, key), f"{_sentence(what)} has no {key!r}, but {', '.join(known)}.{_guess(key, known)}"
            )
    for key in needed:
        if key not in given:
            raise RuleError(_below(path, key), f"{_sentence(what)} needs {key!r}.")
    return given


def a_list(given: object, path: str, of: str, most: int | None = None) -> list[Any]:
    """The list, which is not empty and has at most `most` items."""
    if not isinstance(given, list) or not given:
        raise RuleError(path, f"This is a list of at least one of the {of}.")
    if most is not None and len(given) > most:
        raise RuleError(path, f"This is a list of at most {most:,} {of}, it has {len(given):,}.")
    return given


def text(given: object, path: str, what: str = "The value", most: int = TEXT_LENGTH) -> str:
    """A string of 1 to `most` characters that PostgreSQL can store."""
    if not isinstance(given, str) or not 1 <= len(given) <= most:
        raise RuleError(path, f"{what} is a string of 1 to {most:,} characters.")
    return _storable(given, path)


def scalar(given: object, path: str) -> Any:
    if isinstance(given, str):
        if len(given) > TEXT_LENGTH:
            raise RuleError(path, f"A string has at most {TEXT_LENGTH:,} characters here.")
        return _storable(given, path)
    if given is None:
        raise RuleError(path, "null is missing: use the comparator missing, or exists.")
    if kind(given) is None:
        raise RuleError(path, "The value is a string, a number, true or false; not a list, not an object.")
    return given if isinstance(given, bool) else number(given, path)


def number(given: object, path: str) -> int | float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise RuleError(path, f"The value is a number{instead(given)}.")
    if not -MAX <= given <= MAX:
        raise RuleError(path, "A number lies between -1e308 and 1e308.")
    return as_kept(given)


def whole(given: object) -> int | None:
    """A whole number, also one that is written as 1.0: to JSON that is the same; None for anything else."""
    if type(given) is float and given.is_integer():
        return int(given)
    return given if type(given) is int else None


def tally(given: object, path: str) -> int:
    """A count of events."""
    count = whole(given)
    if count is None or not 0 <= count <= TALLY:
        raise RuleError(path, f"A count is compared with a whole number from 0 to {TALLY:,}{instead(given)}.")
    return count


def orderable(given: object, path: str) -> Any:
    if kind(given) not in ("a number", "a string"):
        raise RuleError(path, f"More and less are for numbers and strings{instead(given)}.")
    return scalar(given, path)


def part(given: object, path: str) -> Any:
    return text(given, path) if isinstance(given, str) else scalar(given, path)


def instant(given: object, path: str) -> str:
    if not isinstance(given, str) or parse_instant(given) is None:
        raise RuleError(path, "An instant is written as 2026-06-09T10:14:05Z, with Z or an offset.")
    return given


def duration(given: object, path: str) -> str:
    length = parse_duration(given) if isinstance(given, str) else None
    if length is None:
        raise RuleError(path, "A duration is written in days, hours, minutes, seconds: P30D, PT12H, P1DT30M, PT0.5S.")
    if length < 1:
        raise RuleError(path, "A duration is longer than nothing: PT1S, P1D, ...")
    return str(given)


def each(read: Callable[[object, str], Any]) -> Callable[[object, str], tuple[Any, ...]]:
    """A list of them."""

    def read_each(given: object, path: str) -> tuple[Any, ...]:
        items = a_list(given, path, "values", IN_VALUES)
        return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(items))

    return read_each


OPERANDS: Mapping[str, Callable[[object, str], Any]] = {
    "scalar": scalar,
    "scalars": each(scalar),
    "orderable": orderable,
    "part": part,
    "text": text,
    "number": number,
    "numbers": each(number),
    "tally": tally,
    "tallies": each(tally),
    "instant": instant,
    "duration": duration,
}


SHOWN: Mapping[type, str] = {dict: "an object", list: "a list"}


def instead(given: object) -> str:
    """What stands there instead, short enough to be shown."""
    shown = repr(given) if isinstance(given, str) else SHOWN.get(type(given)) or json.dumps(given)
    return f", not {shown if len(shown) <= 40 else shown[:37] + '...'}"


def _storable(given: str, path: str) -> str:
    if "\x00" in given or any("\ud800" <= character <= "\udfff" for character in given):
        raise RuleError(path, "This text has a character that cannot be stored (NUL, or half of a pair).")
    return given


def _guess(key: str, known: Collection[str]) -> str:
    near = get_close_matches(key, known, 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _sentence(what: str) -> str:
    return what[:1].upper() + what[1:]
