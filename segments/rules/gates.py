"""Gates: who need not be judged again, because what came can only confirm where they are."""

from collections.abc import Iterable, Mapping


def gate(polarity: Mapping[str, int], is_member: bool, names: Iterable[str]) -> bool:
    """Whether events of those names, whatever they are and however late they come, oblige to judge.

    polarity: see Compiled; is_member: what the last judgment said, under the same rule and with all of its instants
    up to now taken. An event that can only raise keeps a member one and only puts off the end of it, at every instant
    to come; so the stored instant may be too early, never too late. The same the other way round.
    """
    return any(direction(polarity, name) in (0, -1 if is_member else 1) for name in names)


def direction(polarity: Mapping[str, int], name: str) -> int | None:
    """+1, -1 or 0 as in Compiled.polarity; None if an event of that name cannot move the rule."""
    found = {polarity[each] for each in (name, "*") if each in polarity}
    return None if not found else found.pop() if len(found) == 1 else 0
