"""What is settled whatever the events say: a third answer beside yes and no, so that nobody need read them.

Exact, because the value of a rule lies between those it has if each leaf about events is -INF or INF: if one of its
parts is -INF, so is `all`; if one is INF, so is `any`.
"""

from segments.rules.calendars import INF, NEVER
from segments.rules.leaf import Leaf, Settled
from segments.rules.rows import Facts


def of_leaf(leaf: Leaf) -> Settled | None:
    """None: never settled."""
    return leaf.value if leaf.steady else None


def of_not(denied: Settled | None) -> Settled | None:
    return None if denied is None else lambda facts, now: -denied(facts, now)


def of_parts(parts: list[Settled | None], decisive: int) -> Settled | None:
    """decisive: the answer of one part that is the answer of the whole: -INF for `all`, INF for `any`."""
    steady = [part for part in parts if part is not None]
    complete = len(steady) == len(parts)

    def settled(facts: Facts, now: int) -> int:
        certain = complete
        for part in steady:
            found = part(facts, now)
            if found == decisive:
                return decisive
            if not found:
                certain = False
        return -decisive if certain else 0

    return settled if steady else None


def least(parts: list[Settled | None]) -> Settled | None:
    return of_parts(parts, NEVER)


def most(parts: list[Settled | None]) -> Settled | None:
    return of_parts(parts, INF)
