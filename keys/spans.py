"""Spans of time as people type them: `now`, `90s`, `30m`, `24h`, `7d`."""

import re
from datetime import timedelta

_SPAN = re.compile(r"(\d{1,7})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_span(text: str) -> timedelta | None:
    """None when it is not a span."""
    if text == "now":
        return timedelta(0)
    match = _SPAN.fullmatch(text)
    if match is None:
        return None
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
