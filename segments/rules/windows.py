"""Windows: which instants' events count now, and when an event begins and ceases to count.

In every kind of window both instants grow with the event's own: what counts is one run of the rows, newest first.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from persona.lib.clock import MS_PER_DAY, parse_duration, parse_instant
from segments.rules.calendars import INF, Periods, longest
from segments.rules.nodes import Absolute, Between, Calendar, Last


class Span(NamedTuple):
    """A window, ready to use; all in ms.

    age: no event this old ever counts (None: retention); newest: whether the window reaches up to now;
    bounds(now, retention) -> (a, b): an event counts iff a < ts <= b;
    enters(ts), leaves(ts, retention): the instants at which it begins and ceases to count.
    """

    age: int | None
    newest: bool
    bounds: Callable[[int, int], tuple[int, int]]
    enters: Callable[[int], int]
    leaves: Callable[[int, int], int]


def whole(_: None) -> Span:
    """No window: the retention, to the millisecond."""
    return Span(None, True, lambda now, kept: (now - kept, now), lambda ts: ts, lambda ts, kept: ts + kept)


def last(window: Last) -> Span:
    age = parse_duration(window.last) or 0
    # A project may shorten its retention after the rule was saved.
    return Span(
        age,
        True,
        lambda now, kept: (now - (min(kept, age)), now),
        lambda ts: ts,
        lambda ts, kept: ts + (min(kept, age)),
    )


def between(window: Between) -> Span:
    age, young = (parse_duration(each) or 0 for each in window.between)
    return Span(
        age,
        False,
        lambda now, kept: (now - min(age, kept), now - young),
        lambda ts: ts + young,
        lambda ts, kept: ts + min(age, kept),
    )


def absolute(window: Absolute) -> Span:
    start, end = (parse_instant(each) or 0 for each in (window.from_, window.to))
    return Span(
        None,
        False,
        lambda now, kept: (max(start - 1, now - kept), min(end - 1, now)),
        lambda ts: ts if ts < end else INF,
        lambda ts, kept: ts + kept,
    )


def calendar(window: Calendar) -> Span:
    periods, back = Periods(window.calendar, window.tz), window.back
    known = 0, 0, (0, 0)  # a turn judges everybody at one instant, and dates cost ten times as much as a comparison

    def bounds(now: int, kept: int) -> tuple[int, int]:
        nonlocal known
        at, retention, found = known
        if at != now or retention != kept:
            period = periods.index(now) - back
            found = max(periods.start(period) - 1, now - kept), min(periods.start(period + 1) - 1, now)
            known = now, kept, found
        return found

    return Span(
        # A day more: clocks are put back, and zones have moved across the date line.
        (longest(window.calendar, back + 1) + 1) * MS_PER_DAY,
        back == 0,
        bounds,
        lambda ts: periods.start(periods.index(ts) + back) if back else ts,
        lambda ts, kept: min(periods.start(periods.index(ts) + back + 1), ts + kept),
    )


WINDOWS: Mapping[type, Callable[[Any], Span]] = {
    type(None): whole,
    Last: last,
    Between: between,
    Absolute: absolute,
    Calendar: calendar,
}
