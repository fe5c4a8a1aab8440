"""The algebra: all = min, any = max, not = minus. What a rule needs and how events can move it follow the same tree."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec

from segments.rules import settled
from segments.rules.calendars import INF, NEVER
from segments.rules.leaf import Language, Leaf, Need, Settled, Value, merge_needs
from segments.rules.leaves import LANGUAGE
from segments.rules.nodes import All, Any_, Member, Node, Not, Rule
from segments.rules.rows import Facts


class Compiled(msgspec.Struct, frozen=True, eq=False):
    """A rule, ready to be judged many times.

    value(facts, now): see segments.rules.leaf; needs: one per event name; names: "*" among them means any event;
    has_traits: a change of traits, or getting a userId, can move it;
    polarity: per name +1 if one more event can only bring a profile in or keep it in, -1 if only the reverse, else 0;
    settled: see segments.rules.leaf; None if events or time always have a say.
    """

    value: Value
    needs: tuple[Need, ...]
    names: frozenset[str]
    has_traits: bool
    polarity: Mapping[str, int]
    settled: Settled | None


class Scope(NamedTuple):
    """What surrounds a node: the language, the rules of other personas, and the leaves found so far, with signs."""

    language: Language
    members: Mapping[str, Rule]
    leaves: list[tuple[Leaf, int]]


# Getting a userId is marked as a change of traits is.
IDENTIFIED = Leaf(lambda facts, _: INF if facts.identified else NEVER, traits=True, steady=True)


def compile_rule(rule: Rule, language: Language = LANGUAGE) -> Compiled:
    """Closures and plans of `rule`; `language` is another only where its meaning is put to the test."""
    scope = Scope(language, rule.members, [])
    value = compile_envelope(rule, scope)
    needs = merge_needs([leaf.needs for leaf, _ in scope.leaves])
    return Compiled(
        value=value,
        needs=needs,
        names=frozenset(need.name for need in needs),
        has_traits=any(leaf.traits for leaf, _ in scope.leaves),
        polarity=polarity_of(scope.leaves),
        settled=settled_by(rule, scope),
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


def members(rule: Rule) -> frozenset[str]:
    """The slugs of all personas whose rules stand in this one, at first or at second hand."""
    return frozenset(rule.members).union(*map(members, rule.members.values()))


def compile_node(node: Node, scope: Scope, sign: int = 1) -> Value:
    """The value of a node; its leaves are noted in the scope with the sign with which they count."""
    if isinstance(node, Not):
        denied = compile_node(node.of, scope, -sign)
        return lambda facts, now: -denied(facts, now)
    if isinstance(node, All | Any_):
        parts = [compile_node(each, scope, sign) for each in node.of]
        return _lowest(parts) if isinstance(node, All) else _highest(parts)
    if isinstance(node, Member):
        inner = scope.members[node.persona]
        return compile_envelope(inner, scope._replace(members=inner.members), sign)
    leaf = scope.language.leaves[type(node)](node, scope.language)
    scope.leaves.append((leaf, sign))
    return leaf.value


def compile_envelope(rule: Rule, scope: Scope, sign: int = 1) -> Value:
    """A whole rule, for those whom it admits."""
    value = compile_node(rule.rule, scope, sign)
    if not rule.identified_only:
        return value
    scope.leaves.append((IDENTIFIED, sign))
    return _lowest([IDENTIFIED.value, value])


def settled_by(rule: Rule, scope: Scope) -> Settled | None:
    """What traits, lists and buckets alone say of a whole rule."""
    found = _settled(rule.rule, scope._replace(members=rule.members))
    return settled.least([settled.of_leaf(IDENTIFIED), found]) if rule.identified_only else found


def _settled(node: Node, scope: Scope) -> Settled | None:
    if isinstance(node, Not):
        return settled.of_not(_settled(node.of, scope))
    if isinstance(node, All | Any_):
        parts = [_settled(each, scope) for each in node.of]
        return settled.least(parts) if isinstance(node, All) else settled.most(parts)
    if isinstance(node, Member):
        return settled_by(scope.members[node.persona], scope)
    return settled.of_leaf(scope.language.leaves[type(node)](node, scope.language))


def _lowest(parts: list[Value]) -> Value:
    first, *others = parts

    def value(facts: Facts, now: int) -> int:
        least = first(facts, now)
        for part in others:
            if least == NEVER:
                break
            found = part(facts, now)
            if found < least:
                least = found
        return least

    return value


def _highest(parts: list[Value]) -> Value:
    first, *others = parts

    def value(facts: Facts, now: int) -> int:
        most = first(facts, now)
        for part in others:
            if most == INF:
                break
            found = part(facts, now)
            if found > most:
                most = found
        return most

    return value


def polarity_of(leaves: Iterable[tuple[Leaf, int]]) -> dict[str, int]:
    found: dict[str, set[int]] = {}
    for leaf, sign in leaves:
        for name, direction in leaf.polarity.items():
            found.setdefault(name, set()).add(sign * direction)
    return {name: directions.pop() if len(directions) == 1 else 0 for name, directions in found.items()}
