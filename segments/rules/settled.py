"""What is settled whatever the events say: a third answer beside yes and no, so that nobody need read them.

Exact, because the value of a rule lies between those it has if each leaf about events is -INF or INF: if one of its
parts is -INF, so is `all`; if one is INF, so is `any`.
"""

from functools import partial

from segments.rules.calendars import INF
from segments.rules.leaf import Leaf, Settled
from segments.rules.rows import Facts


def of_leaf(leaf: Leaf) -> Settled | None:
    """None: never settled."""
    value = leaf.value
    return (lambda facts: value(facts, 0)) if leaf.steady else None


def of_not(denied: Settled | None) -> Settled | None:
    return None if denied is None else lambda facts: -denied(facts)


def of_parts(parts: list[Settled | None], decisive: int) -> Settled | None:
    """decisive: the answer of one part that is the answer of the whole: -INF for `all`, INF for `any`."""
    steady = [part for part in parts if part is not None]
    if not steady:
        return None
    return partial(_any_decides, tuple(steady), decisive, len(steady) == len(parts))


def _any_decides(parts: tuple[Settled, ...], decisive: int, complete: bool, facts: Facts) -> int:
    for part in parts:
        found = part(facts)
        if found == decisive:
            return decisive
        complete = complete and found != 0
    return -decisive if complete else 0


def least(parts: list[Settled | None]) -> Settled | None:
    return of_parts(parts, -INF)


def most(parts: list[Settled | None]) -> Settled | None:
    return of_parts(parts, INF)
