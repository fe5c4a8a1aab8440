"""Why a profile is in or out: for every node what it found, and when its answer changes if nothing happens. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from segments.rules import details, moves
from segments.rules.calendars import INF
from segments.rules.engine import Scope, compile_envelope, compile_node, polarity_of
from segments.rules.leaf import Language, Value
from segments.rules.leaves import LANGUAGE
from segments.rules.moves import Moves, Part
from segments.rules.nodes import All, Any_, Member, Node, Not, Rule
from segments.rules.rows import Facts

STEPS = 1_000  # instants looked at for one flip


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a rule at one instant.

    path: as in refusals, "rule.of[1]"; op: the node's, or "rule" for the whole; flips_at: ms, None if time alone never
    changes it. extends, ends, either: the events that, if they happen now, put the flip off, bring it at once, and
    of which neither can be said; traits: whether a change of traits can move it.
    Of leaves alone: actual (of `since` an age in ms, of dates an instant), threshold, counted and uids (hex, newest
    first, at most 100) of the events that count, mismatches: values whose JSON type could not be compared.
    capped: names of which the profile has more events than are looked at.
    """

    path: str
    op: str
    matched: bool
    flips_at: int | None
    extends: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    traits: bool = False
    actual: Any = None
    threshold: Mapping[str, Any] | None = None
    counted: int = 0
    uids: tuple[str, ...] = ()
    mismatches: int = 0
    capped: tuple[str, ...] = ()
    of: tuple["Explanation", ...] = ()


def explain(rule: Rule, facts: Facts, now: int, language: Language = LANGUAGE) -> Explanation:
    """The whole rule, with its node below it. facts: gathered for `whole(needs)`, for all that may come."""
    return Explainer(facts, now, language).envelope(rule, "", "rule")


def mismatches(explanation: Explanation) -> int:
    """Of the node and of all below it."""
    return explanation.mismatches + sum(map(mismatches, explanation.of))


class Explainer:
    def __init__(self, facts: Facts, now: int, language: Language) -> None:
        self.facts, self.now, self.language = facts, now, language

    def envelope(self, rule: Rule, path: str, op: str, slug: str = "") -> Explanation:
        """A rule with its condition on the userId; that of another persona if it has a slug."""
        scope = Scope(self.language, rule.members, [])
        value = compile_envelope(rule, scope)
        inner = self.node(rule.rule, rule.members, f"{slug}: rule" if slug else "rule")
        parts = [_part(inner)]
        if not rule.identified_only:
            return self._told(path, op, value, scope, parts, of=(inner,))
        parts.append(Part(self.facts.identified, None, Moves()))
        known = {"actual": self.facts.identified, "threshold": {"identified_only": True}}
        return self._told(path, op, value, scope, parts, of=(inner,), **known)

    def node(self, node: Node, members: Mapping[str, Rule], path: str) -> Explanation:
        if isinstance(node, Member):
            return self.envelope(members[node.persona], path, "member", node.persona)
        scope = Scope(self.language, members, [])
        value = compile_node(node, scope)
        op = str(type(node).__struct_config__.tag)
        nodes = tuple(self.node(each, members, f"{path}.{key}") for key, each in below(node))
        if nodes:
            return self._told(path, op, value, scope, [_part(each) for each in nodes], of=nodes)
        detail = details.DETAILS[type(node)](node, self.facts, self.now, self.language)
        return self._told(path, op, value, scope, [], **detail._asdict())

    def _told(self, path: str, op: str, value: Value, scope: Scope, parts: list[Part], **more: Any) -> Explanation:
        """parts: what is below a gate; none: it is a leaf, the only one of the scope."""
        matched = value(self.facts, self.now) > 0
        flips = flips_at(lambda instant: value(self.facts, instant), self.now)
        moved = self._moves(op, parts, scope, matched, flips)
        return Explanation(
            path=path,
            op=op,
            matched=matched,
            flips_at=flips,
            extends=tuple(sorted(moved.extends)),
            ends=tuple(sorted(moved.ends)),
            either=tuple(sorted(moved.either)),
            traits=any(leaf.traits for leaf, _ in scope.leaves),
            capped=tuple(sorted(self.facts.capped & polarity_of(scope.leaves).keys())),
            **more,
        )

    def _moves(self, op: str, parts: list[Part], scope: Scope, matched: bool, flips: int | None) -> Moves:
        if op == "not":
            return parts[0].moves
        if parts:
            return moves.of_gate(parts, matched, op != "any", flips)
        ((leaf, _),) = scope.leaves
        directions = leaf.moves(self.facts, self.now) if leaf.moves else leaf.polarity
        return moves.of_leaf(directions, matched)


def flips_at(value: Callable[[int], int], now: int) -> int | None:
    """When the answer changes if nothing happens; None if it does not, or not within STEPS instants of doubt."""
    f = value(now)
    for _ in range(STEPS):
        if abs(f) >= INF:
            return None
        after = value(abs(f))
        if (after > 0) is not (f > 0):
            return abs(f)
        f = after
    return None


def below(node: Node) -> Iterable[tuple[str, Node]]:
    """The nodes of a gate, with the rest of their paths."""
    if isinstance(node, Not):
        return [("of", node.of)]
    return [(f"of[{index}]", each) for index, each in enumerate(node.of)] if isinstance(node, All | Any_) else []


def _part(explained: Explanation) -> Part:
    found = Moves(*map(frozenset, (explained.extends, explained.ends, explained.either)))
    return Part(explained.matched, explained.flips_at, found)
