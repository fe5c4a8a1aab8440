"""Windows: which instants' events count now, and when an event begins and ceases to count.

In every kind of window both instants grow with the event's own: what counts is one run of the rows, newest first.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from persona.lib.clock import parse_duration
from segments.rules.nodes import Last


class Span(NamedTuple):
    """A window, ready to use; all in ms.

    age: no event this old ever counts (None: retention); bounds(now, retention) -> (a, b): an event counts iff
    a < ts <= b; enters(ts) and leaves(ts, retention): the instants at which it begins and ceases to count.
    """

    age: int | None
    bounds: Callable[[int, int], tuple[int, int]]
    enters: Callable[[int], int]
    leaves: Callable[[int, int], int]


def whole(_: None) -> Span:
    """No window: the retention, to the millisecond."""
    return Span(None, lambda now, kept: (now - kept, now), lambda ts: ts, lambda ts, kept: ts + kept)


def last(window: Last) -> Span:
    age = parse_duration(window.last) or 0
    # A project may shorten its retention after the rule was saved.
    return Span(
        age,
        lambda now, kept: (now - min(age, kept), now),
        lambda ts: ts,
        lambda ts, kept: ts + min(age, kept),
    )


WINDOWS: Mapping[type, Callable[[Any], Span]] = {type(None): whole, Last: last}
