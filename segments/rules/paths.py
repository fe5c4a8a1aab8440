"""Paths into JSON: dots descend, a key that itself has dots is found whole first, `"a.b"` is always one key."""

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from segments.rules.rows import Row

Lookup = Callable[[dict[str, Any]], Any]
Root = Literal["properties", "context"]

_STEP = re.compile(r'"([^"]+)"|([^".]+)')
ROOTS: tuple[Root, Root] = ("properties", "context")


class Step(NamedTuple):
    """A key of a path; `quoted` ones are never joined with their neighbors."""

    key: str
    quoted: bool


def split(path: str) -> tuple[Step, ...] | None:
    """The keys of a path, or None if it is not one: `a.b`, `a."b.c"`, `"a.b"`."""
    steps: list[Step] = []
    at = 0
    while match := _STEP.match(path, at):
        steps.append(Step(match[1] or match[2], match[1] is not None))
        at = match.end()
        if at == len(path):
            return tuple(steps)
        if path[at] != ".":
            return None
        at += 1
    return None


def rooted(path: str) -> tuple[Root, tuple[Step, ...]]:
    """Where a path of `where` begins, and the rest: `context.page.path` is (context, page.path)."""
    steps = split(path) or ()
    for root in ROOTS:
        if len(steps) > 1 and steps[0].key == root and not steps[0].quoted:
            return root, steps[1:]
    return "properties", steps


def top_keys(steps: tuple[Step, ...]) -> frozenset[str]:
    """The top-level keys among which `lookup` may find the value."""
    return frozenset({steps[0].key, _whole(steps)} - {""})


def lookup(steps: tuple[Step, ...]) -> Lookup:
    """A function that finds the value in an object; None when it is missing or null."""
    first, whole, rest = steps[0].key, _whole(steps), steps[1:]
    if not rest:
        return lambda found: found.get(first)
    descend = lookup(rest)

    def find(found: dict[str, Any]) -> Any:
        value = found.get(whole) if whole else None
        if value is not None:
            return value
        inner = found.get(first)
        return descend(inner) if isinstance(inner, dict) else None

    return find


def of_row(path: str) -> Callable[[Row], Any]:
    """The same for an event's row, from its properties or its context."""
    root, steps = rooted(path)
    find = lookup(steps)
    if root == "context":
        return lambda row: find(row.context)
    return lambda row: find(row.properties)


def _whole(steps: tuple[Step, ...]) -> str:
    """The path as one key, or "" when a quoted key forbids that."""
    return "" if any(step.quoted for step in steps) else ".".join(step.key for step in steps)
