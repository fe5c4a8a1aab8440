"""Timestamps in traits and properties, and the comparators whose answer time alone changes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from persona.lib.clock import LATEST, parse_instant
from segments.rules.calendars import INF, NEVER

MILLISECONDS = 1e11  # a number from here on counts milliseconds since 1970, one below it seconds

When = Callable[[int, int], int]  # of an instant t, judged at now: the signed instant f


def timestamp(value: Any) -> int | None:
    """Milliseconds, rounded, of an RFC 3339 text or of a number; None for whatever is no instant before 10000."""
    if isinstance(value, str):
        return parse_instant(value)
    if type(value) not in (int, float):
        return None
    scaled = value if value >= MILLISECONDS else value * 1_000
    return round(scaled) if -LATEST <= scaled <= LATEST else None


def older_than(age: int) -> When:
    return lambda t, now: INF if now - t >= age else -(t + age)


def newer_than(age: int) -> When:
    return lambda t, now: -t if now < t else t + age if now - t < age else NEVER


def within_next(ahead: int) -> When:
    """The instant itself is within: t - now may be 0."""
    return lambda t, now: NEVER if now > t else t + 1 if t - now < ahead else -(t - ahead + 1)


DATES: Mapping[str, Callable[[int], When]] = {
    "older_than": older_than,
    "newer_than": newer_than,
    "within_next": within_next,
}


def through(stretches: Iterable[tuple[Any, int]], when: When, now: int) -> int:
    """The signed instant f, judged at `now`, of a value that is another one in each stretch of time.

    stretches: the values in their order, each with the instant (ms) at which the next one follows; the last has INF.
    """
    at, f = now, 0
    for value, until in stretches:
        if until <= at:
            continue  # it gave way at the very instant at which it came
        found, instant = f, timestamp(value)
        f = NEVER if instant is None else when(instant, at)
        if found and (f > 0) is not (found > 0):
            return at if found > 0 else -at
        if abs(f) < until:
            return f
        at = until
    return f
