"""How an event that happens now would move a node: which names put its flip off, which bring it at once. Pure.

Polarity says what an event could do whenever it happened, as gates need it. Here the answer is for the present: an
event of now is not yet in a window that looks at last week, and cannot spoil a sequence whose time of absence is over.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

NOBODY: frozenset[str] = frozenset()


class Moves(NamedTuple):
    """Names of events. extends: put the flip off; ends: bring it at once; either: may move it otherwise, or later."""

    extends: frozenset[str] = NOBODY
    ends: frozenset[str] = NOBODY
    either: frozenset[str] = NOBODY


class Part(NamedTuple):
    """A node below a gate."""

    matched: bool
    flips_at: int | None
    moves: Moves


def of_leaf(directions: Mapping[str, int], matched: bool) -> Moves:
    """directions: per name +1 if an event of now makes or keeps the leaf true, -1 false, 0 if that cannot be said."""
    sign = 1 if matched else -1
    return Moves(*(frozenset(_named(directions, direction)) for direction in (sign, -sign, 0)))


def of_gate(parts: Sequence[Part], matched: bool, every: bool, flips_at: int | None) -> Moves:
    """every: the gate is `all`, else `any`. It is in the state of its deciding parts."""
    deciding = [part.moves for part in parts if part.matched is matched]
    others = [part.moves for part in parts if part.matched is not matched]
    binding = [part.moves for part in parts if part.matched is matched and part.flips_at == flips_at]
    if matched is every:
        return _each_alone(deciding, binding, flips_at is None)
    return _together(deciding, others, binding)


def _each_alone(deciding: list[Moves], binding: list[Moves], lasting: bool) -> Moves:
    """The first part that flips takes the gate along; what moves only a later one does nothing to it."""
    ends = _any(moves.ends for moves in deciding)
    unsure = _any(moves.either for moves in deciding)
    extending = [moves.extends for moves in binding]
    extends = _any(extending) if lasting or not extending else frozenset.intersection(*extending)
    return Moves(extends - ends - unsure, ends, unsure - ends)


def _together(deciding: list[Moves], others: list[Moves], binding: list[Moves]) -> Moves:
    """The gate flips when its last deciding part has flipped and all the others are still as they are."""
    spoiling, unsure = _any(moves.ends for moves in others), _any(moves.either for moves in others)
    ends = frozenset.intersection(*(moves.ends for moves in deciding)) - spoiling - unsure
    extends = (spoiling | _any(moves.extends for moves in binding)) - ends
    return Moves(extends, ends, (_any(_any(moves) for moves in deciding) | unsure) - extends - ends)


def _any(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return NOBODY.union(*sets)


def _named(directions: Mapping[str, int], direction: int) -> Iterable[str]:
    return (name for name, found in directions.items() if found == direction)
