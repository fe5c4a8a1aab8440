"""The rule language: grammar, meaning and needs of a persona's rule. Pure: data in, data out."""

from segments.rules.engine import (
    Compiled,
    any_event,
    compile_rule,
    compiled,
    has_traits,
    members,
    merge_needs,
    names,
    needs,
    value,
)
from segments.rules.errors import RuleError
from segments.rules.grammar import parse
from segments.rules.leaves import LANGUAGE, Language, Need
from segments.rules.nodes import Rule
from segments.rules.rows import RETENTION, Facts, Row, facts_from
from segments.rules.windows import INF

__all__ = [
    "INF",
    "LANGUAGE",
    "RETENTION",
    "Compiled",
    "Facts",
    "Language",
    "Need",
    "Row",
    "Rule",
    "RuleError",
    "any_event",
    "compile_rule",
    "compiled",
    "facts_from",
    "has_traits",
    "members",
    "merge_needs",
    "names",
    "needs",
    "parse",
    "value",
]
