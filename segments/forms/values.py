"""Values of a rule as texts of form fields, and back. What is read back is what was shown. Pure."""

import json
import math
import re
from typing import Any

from persona.lib.clock import parse_duration

UNITS = {"seconds": 1_000, "minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}
_WRITTEN = {"seconds": "PT{}S", "minutes": "PT{}M", "hours": "PT{}H", "days": "P{}D"}
_TYPED = re.compile(r'-?\d+(\.\d+)?([eE][+-]?\d+)?|true|false|".*"', re.DOTALL)
_SPAN = re.compile(r"([\d.]+)\s*(second|minute|hour|day|s|min|m|h|d)s?")
_SHORT = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}


def typed(text: str) -> Any:
    """`5` is a number, `true` a truth, `"5"` a text; what is none of these is a text as it stands."""
    text = text.strip()
    if not _TYPED.fullmatch(text):
        return text
    try:
        found = json.loads(text)
    except ValueError:  # digits that JSON does not write so: 007
        return text
    return text if isinstance(found, float) and not math.isfinite(found) else found


def shown(value: Any) -> str:
    """The text that `typed` reads as `value`."""
    if isinstance(value, str) and value:
        return value if typed(value) == value and value == value.strip() else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def typed_list(text: str) -> list[Any]:
    """Values with commas between them."""
    return [typed(part) for part in text.split(",") if part.strip()]


def shown_list(values: list[Any]) -> str | None:
    """The text that `typed_list` reads as `values`; None if there is none, for the sake of a comma."""
    text = ", ".join(map(shown, values))
    return text if typed_list(text) == values else None


def duration(n: str, unit: str) -> str:
    """ISO 8601, of a number and a unit; what is no number becomes what the grammar refuses."""
    return _WRITTEN.get(unit, "{}").format(n.strip())


def parts(written: object) -> tuple[str, str] | None:
    """Number and unit of a duration, the largest unit that is exact; None if the two would not be read as the same."""
    length = parse_duration(written) if isinstance(written, str) else None
    if not length:
        return None
    for unit, size in reversed(UNITS.items()):
        if length % size == 0:
            return str(length // size), unit
    n = f"{length / 1_000:.3f}".rstrip("0")
    return n, "seconds"


def spoken(text: str) -> str:
    """`3 days` or `P3D` as a duration; anything else stays, for the grammar to refuse."""
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None:
        return text.strip()
    return duration(match[1], _SHORT.get(match[2], f"{match[2]}s"))
