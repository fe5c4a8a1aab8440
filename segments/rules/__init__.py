"""The rule language: grammar, meaning and needs of a persona's rule. Pure: data in, data out."""

from segments.rules.calendars import INF, NEVER
from segments.rules.checks import Check, checks, mismatched
from segments.rules.engine import (
    Compiled,
    any_event,
    compile_rule,
    compiled,
    has_traits,
    members,
    names,
    needs,
    value,
)
from segments.rules.errors import RuleError
from segments.rules.explain import Explanation, explain, flips_at
from segments.rules.gates import direction, gate
from segments.rules.grammar import parse
from segments.rules.leaf import Language, Need, ahead, merge_needs, whole
from segments.rules.leaves import LANGUAGE
from segments.rules.nodes import Rule, written
from segments.rules.rows import RETENTION, Facts, Row, facts_from

__all__ = [
    "INF",
    "LANGUAGE",
    "NEVER",
    "RETENTION",
    "Check",
    "Compiled",
    "Explanation",
    "Facts",
    "Language",
    "Need",
    "Row",
    "Rule",
    "RuleError",
    "ahead",
    "any_event",
    "checks",
    "compile_rule",
    "compiled",
    "direction",
    "explain",
    "facts_from",
    "flips_at",
    "gate",
    "has_traits",
    "members",
    "merge_needs",
    "mismatched",
    "names",
    "needs",
    "parse",
    "value",
    "whole",
    "written",
]
