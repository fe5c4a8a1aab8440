"""A rule in words: a phrase for every node, and a sentence for the whole. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from persona.lib.clock import parse_duration

Node = Mapping[str, Any]

UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))
COMPARED = {
    "eq": "is",
    "in": "is one of",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "contains": "contains",
    "prefix": "begins with",
    "before": "is before",
    "after": "is after",
    "exists": "is known",
    "missing": "is not known",
    "older_than": "is at least so long ago:",
    "newer_than": "is less long ago than",
    "within_next": "comes within the next",
}
COUNTED = {"eq": "exactly", "in": "one of", "gt": "more than", "gte": "at least", "lt": "less than", "lte": "at most"}
FUNCTIONS = {
    "sum": "sum of",
    "avg": "average of",
    "min": "least",
    "max": "greatest",
    "distinct": "different values of",
    "first": "first",
    "last": "latest",
}
NONE = {("lte", 0), ("eq", 0), ("lt", 1)}
DURATIONS = frozenset({"older_than", "newer_than", "within_next"})


def sentence(document: Node) -> str:
    """The whole rule, from its envelope."""
    who = "Profiles with a userId" if document.get("identified_only") else "Profiles"
    return f"{who} with {phrase(document.get('rule', {}))}."


def phrase(node: Node) -> str:
    """One node, with those below it: `product_viewed at least 3 times in the last 24 hours`."""
    return PHRASES.get(str(node.get("op")), _unreadable)(node)


def span(duration: object) -> str:
    """`P30D` as `30 days`; what is no duration stays as it is."""
    length = parse_duration(duration) if isinstance(duration, str) else None
    if not length:
        return str(duration)
    for size, unit in UNITS:
        if length % size == 0:
            return counted(length // size, unit)
    return f"{length / 1_000:g} seconds"


def counted(n: int, unit: str) -> str:
    return f"{n:,} {unit}" if n == 1 else f"{n:,} {unit}s"


def value(given: object) -> str:
    """A value of the rule: texts in quotes, so that "5" is not 5."""
    if isinstance(given, list):
        return ", ".join(map(value, given))
    if isinstance(given, bool):
        return "true" if given else "false"
    return f"“{given}”" if isinstance(given, str) else f"{given}"


def compared(node: Node) -> str:
    """A comparator and its value."""
    cmp = str(node.get("cmp"))
    words = COMPARED.get(cmp, cmp)
    if "value" not in node:
        return words
    return f"{words} {span(node['value']) if cmp in DURATIONS else value(node['value'])}"


def window(node: Node) -> str:
    """When the events of a node count, with a blank before it; nothing for all that is kept."""
    given = node.get("window") or {}
    if "last" in given:
        return f" in the last {span(given['last']).removeprefix('1 ')}"
    if "between" in given and len(given["between"]) == 2:
        older, younger = map(span, given["between"])
        return f" between {older} and {younger} ago"
    if "from" in given:
        return f" from {given['from']} until {given.get('to')}"
    if "calendar" in given:
        back = given.get("back", 0)
        which = f"this {given['calendar']}" if not back else f"{counted(back, given['calendar'])} ago"
        return f" {which} ({given.get('tz')})"
    return ""


def where(node: Node) -> str:
    """What else has to be true of an event, with a blank before it."""
    return f" where {phrase(node['where'])}" if node.get("where") else ""


def _unreadable(node: Node) -> str:
    return "something that is not complete yet"


def _several(word: str) -> Callable[[Node], str]:
    def said(node: Node) -> str:
        parts = [_bracketed(each, word) for each in node.get("of") or []]
        long = len(parts) > 2 or any(" where " in part for part in parts)
        return f"{',' if long else ''} {word} ".join(parts)

    return said


def _bracketed(node: Node, word: str) -> str:
    inner = {"all": "and", "any": "or"}.get(str(node.get("op")))
    return f"({phrase(node)})" if inner not in (None, word) and len(node.get("of") or []) > 1 else phrase(node)


def _not(node: Node) -> str:
    inner = node.get("of") or {}
    if inner.get("op") == "event" and _is_any(inner):
        return f"no {inner.get('event')}{window(inner)}{where(inner)}"
    return f"not ({phrase(inner)})"


def _is_any(node: Node) -> bool:
    return not node.get("agg") and (node.get("cmp"), node.get("value")) in {("gte", 1), ("gt", 0)}


def _trait(node: Node) -> str:
    return f"{node.get('path')} {compared(node)}"


def _event(node: Node) -> str:
    agg = node.get("agg") or {"fn": "count"}
    name = node.get("event") or "some event"
    rest = f"{window(node)}{where(node)}"
    if agg.get("fn") != "count":
        what = f"{FUNCTIONS.get(str(agg.get('fn')), '')} {agg.get('prop')}"
        return f"{what} of {name}{rest} {compared(node)}"
    if (node.get("cmp"), node.get("value")) in NONE:
        return f"no {name}{rest}"
    if _is_any(node):
        return f"{name}{rest}"
    times = "time" if node.get("value") == 1 else "times"
    how = f"{COUNTED.get(str(node.get('cmp')), '')} {value(node.get('value'))} {times}"
    return f"{name} {how}{rest}"


def _since(node: Node) -> str:
    name = "any event" if node.get("event") == "*" else node.get("event")
    how = "at least" if node.get("cmp") == "gte" else "less than"
    never = ", or never" if node.get("if_never") else ""
    return f"{node.get('which')} {name}{where(node)} {how} {span(node.get('value'))} ago{never}"


def _sequence(node: Node) -> str:
    steps = ", then ".join(f"{step.get('event')}{where(step)}" for step in node.get("steps") or [])
    same = f" with the same {' and '.join(node['same'])}" if node.get("same") else ""
    strict = " with none of these in between" if node.get("strict") else ""
    absent = node.get("absent") or {}
    then = f", and then no {absent.get('event')}{where(absent)} within {span(absent.get('within'))}" if absent else ""
    within = f" within {span(node.get('within'))}" if len(node.get("steps") or []) > 1 else ""
    return f"{steps}{within}{same}{strict}{window(node)}{then}"


def _member(node: Node) -> str:
    return f"membership in {node.get('persona')}"


def _bucket(node: Node) -> str:
    share = (node.get("to", 0) - node.get("from", 0)) / 100
    return f"a share of {share:g} % of all, drawn by “{node.get('salt')}”"


def _list(node: Node) -> str:
    return f"a place on the list of {counted(len(node.get('profiles') or []), 'profile')}"


PHRASES: Mapping[str, Callable[[Node], str]] = {
    "all": _several("and"),
    "any": _several("or"),
    "not": _not,
    "trait": _trait,
    "event": _event,
    "since": _since,
    "sequence": _sequence,
    "member": _member,
    "bucket": _bucket,
    "list": _list,
}
