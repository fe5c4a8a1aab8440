"""What happens to one profile if nothing happens: the instants at which a rule's answer flips by time alone. Pure."""

from collections.abc import Callable

import msgspec

from segments.rules import INF

STEPS = 10_000  # instants looked at; a rule that has more of them in the span is answered for its beginning


class Turn(msgspec.Struct, frozen=True, gc=False):
    """At `at` (ms) the profile enters, or leaves."""

    at: int
    enters: bool


def turns(value: Callable[[int], int], *, now: int, until: int, most: int) -> list[Turn]:
    """The first `most` flips after `now`, up to and including `until`.

    value: instant -> f with all events known now, see segments.rules.
    """
    found: list[Turn] = []
    f = value(now)
    inside = f > 0
    for _ in range(STEPS):
        instant = abs(f)
        if instant >= INF or instant > until or len(found) == most:
            break
        f = value(instant)
        if (f > 0) is not inside:
            inside = f > 0
            found.append(Turn(instant, inside))
    return found


def leaves_at(value: Callable[[int], int], *, now: int) -> int | None:
    """When a member leaves if nothing happens; None: time alone does not end it, or not within STEPS instants."""
    left = turns(value, now=now, until=INF, most=1)
    return left[0].at if left else None
