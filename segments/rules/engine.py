"""The algebra: all = min, any = max, not = minus. What a rule needs and how events can move it follow the same tree."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import msgspec

from segments.rules.leaves import LANGUAGE, Language, Leaf, Need, Value
from segments.rules.nodes import All, Any_, Node, Not, Rule
from segments.rules.rows import Facts
from segments.rules.windows import INF


class Compiled(msgspec.Struct, frozen=True, eq=False):
    """A rule, ready to be judged many times.

    value(facts, now): see segments.rules.leaves; needs: one per event name; names: "*" among them means any event;
    polarity: per name +1 if one more event can only bring a profile in or keep it in, -1 if only the reverse, else 0.
    """

    value: Value
    needs: tuple[Need, ...]
    names: frozenset[str]
    has_traits: bool
    polarity: Mapping[str, int]


def compile_rule(rule: Rule, language: Language = LANGUAGE) -> Compiled:
    """Closures and plans of `rule`; `language` is another only where its meaning is put to the test."""
    leaves: list[tuple[Leaf, int]] = []
    value = _compile(rule.rule, language, 1, leaves)
    needs = merge_needs([leaf.needs for leaf, _ in leaves])
    return Compiled(
        value=_identified(value) if rule.identified_only else value,
        needs=needs,
        names=frozenset(need.name for need in needs),
        has_traits=any(leaf.traits for leaf, _ in leaves),
        polarity=_polarity(leaves),
    )


compiled = lru_cache(maxsize=4_096)(compile_rule)  # a Rule is a key by its identity


def value(rule: Rule, facts: Facts, now: int) -> int:
    """f > 0: a member, at least on [now, f) ms; f < 0: not one, at least on [now, -f); INF: until something happens."""
    return compiled(rule).value(facts, now)


def needs(rule: Rule) -> tuple[Need, ...]:
    """What has to be read of each event name, sorted by name."""
    return compiled(rule).needs


def names(rule: Rule) -> frozenset[str]:
    """The event names that the rule looks at."""
    return compiled(rule).names


def any_event(rule: Rule) -> bool:
    """Whether an event of any name at all can change the answer."""
    return "*" in compiled(rule).names


def has_traits(rule: Rule) -> bool:
    """Whether a change of traits can change the answer."""
    return compiled(rule).has_traits


def members(_rule: Rule) -> frozenset[str]:
    """The slugs of the personas that the rule refers to."""
    return frozenset()


def merge_needs(wanted: Iterable[Iterable[Need]]) -> tuple[Need, ...]:
    """One need per name that serves all of them, sorted by name."""
    merged: dict[str, Need] = {}
    for need in (each for some in wanted for each in some):
        other = merged.setdefault(need.name, need)
        if other is not need:
            merged[need.name] = Need(
                need.name,
                _most(need.since, other.since),
                _most(need.limit, other.limit),
                need.props | other.props,
                need.context | other.context,
            )
    return tuple(merged[name] for name in sorted(merged))


def _most(one: int | None, other: int | None) -> int | None:
    """The greater, where None is beyond all."""
    return None if one is None or other is None else max(one, other)


def _compile(node: Node, language: Language, sign: int, leaves: list[tuple[Leaf, int]]) -> Value:
    if isinstance(node, Not):
        denied = _compile(node.of, language, -sign, leaves)
        return lambda facts, now: -denied(facts, now)
    if isinstance(node, All | Any_):
        parts = [_compile(each, language, sign, leaves) for each in node.of]
        return _lowest(parts) if isinstance(node, All) else _highest(parts)
    leaf = language.leaves[type(node)](node, language)
    leaves.append((leaf, sign))
    return leaf.value


def _lowest(parts: list[Value]) -> Value:
    def value(facts: Facts, now: int) -> int:
        least = INF
        for part in parts:
            found = part(facts, now)
            if found < least:
                least = found
                if least == -INF:
                    break
        return least

    return value


def _highest(parts: list[Value]) -> Value:
    def value(facts: Facts, now: int) -> int:
        most = -INF
        for part in parts:
            found = part(facts, now)
            if found > most:
                most = found
                if most == INF:
                    break
        return most

    return value


def _identified(value: Value) -> Callable[[Facts, int], int]:
    return lambda facts, now: value(facts, now) if facts.identified else -INF


def _polarity(leaves: Iterable[tuple[Leaf, int]]) -> dict[str, int]:
    found: dict[str, set[int]] = {}
    for leaf, sign in leaves:
        for name, direction in leaf.polarity.items():
            found.setdefault(name, set()).add(sign * direction)
    return {name: directions.pop() if len(directions) == 1 else 0 for name, directions in found.items()}
