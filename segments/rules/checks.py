"""The nodes of a rule that can come upon values of the wrong JSON type, and whether they do for one profile. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from segments.rules.details import DETAILS
from segments.rules.explain import below
from segments.rules.leaves import LANGUAGE
from segments.rules.nodes import Event, Member, Node, Rule, Sequence, Since, Trait
from segments.rules.rows import Facts

TYPELESS = frozenset({"exists", "missing"})
ANY_TYPE = frozenset({"count", "distinct"})


class Check(NamedTuple):
    """A node, and its path as explanations give it."""

    path: str
    node: Node


def checks(rule: Rule, path: str = "rule") -> tuple[Check, ...]:
    """All of a rule, and of the rules it refers to."""
    return tuple(_checks(rule.rule, rule, path))


def mismatched(check: Check, facts: Facts, now: int) -> bool:
    """Whether a comparison of this node was about another type than the value has. facts: as for judging."""
    return DETAILS[type(check.node)](check.node, facts, now, LANGUAGE).mismatches > 0


def _checks(node: Node, rule: Rule, path: str) -> Iterator[Check]:
    if isinstance(node, Member):
        yield from checks(rule.members[node.persona], f"{node.persona}: rule")
        return
    for key, each in below(node):
        yield from _checks(each, rule, f"{path}.{key}")
    if _compares(node):
        yield Check(path, node)


def _compares(node: Node) -> bool:
    if isinstance(node, Trait):
        return node.cmp not in TYPELESS
    if isinstance(node, Event):
        return node.where is not None or node.agg.fn not in ANY_TYPE
    if isinstance(node, Since):
        return node.where is not None
    return isinstance(node, Sequence) and any(step.where for step in node.steps)
