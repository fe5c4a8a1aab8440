"""An explanation as people read it: every node in words, what was found, and when its answer changes. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from persona.lib.clock import parse_instant, rfc3339
from segments.wording import words

GROUPS = {"all": "All of these", "any": "Any of these", "not": "Not this", "member": "Membership in"}
EARLIEST = -30_610_224_000_000  # ms, the year 1000: instants before it are shown as this one
STEP = re.compile(r"\.of(?:\[(\d+)\])?")


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One node. found, needed: in words; flips: ms, None if time alone never changes it; by: what else could."""

    group: str
    says: str
    matched: bool
    found: str
    needed: str
    flips: int | None
    by: str
    odd: int
    capped: tuple[str, ...]
    of: list["Reason"]


def reasons(explained: Mapping[str, Any], documents: Mapping[str, Mapping[str, Any]], slug: str) -> list[Reason]:
    """The node below the whole rule, as a list for the template; documents: the rules of personas, by slug."""
    return [_reason(each, documents, slug) for each in explained["of"]]


def events_of(explained: Mapping[str, Any]) -> list[str]:
    """The uids (hex) of all events that count anywhere, once each."""
    found = [uid.removeprefix("e_") for uid in explained["events"]]
    for each in explained["of"]:
        found += events_of(each)
    return list(dict.fromkeys(found))


def _reason(node: Mapping[str, Any], documents: Mapping[str, Mapping[str, Any]], slug: str) -> Reason:
    op = node["op"]
    written = at_path(documents.get(slug, {}), node["path"])
    inner_slug = str(written.get("persona", "")) if op == "member" else slug
    of = node["of"][0]["of"] if op == "not" and node["of"][0]["op"] in ("all", "any") else node["of"]
    group = GROUPS.get(op, "")
    if op == "not" and of is not node["of"]:
        group = "None of these" if node["of"][0]["op"] == "any" else "Not all of these"
    return Reason(
        group=group,
        says=inner_slug if op == "member" else "" if group else words.phrase(written),
        matched=node["matched"],
        found=_found(node, written),
        needed=NEEDED.get(op, _nothing)(written),
        flips=None if node["flips_at"] is None else parse_instant(node["flips_at"]),
        by=_by(node),
        odd=node["mismatches"],
        capped=tuple(node["capped"]),
        of=[_reason(each, documents, inner_slug) for each in of],
    )


def at_path(document: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The node that an explanation's path names, in the document it comes from; empty if it is not there."""
    found: Any = document.get("rule", {})
    for match in STEP.finditer(path.rpartition(": ")[2]):
        below = found.get("of") if isinstance(found, dict) else None
        if match[1] is None:
            found = below
        else:
            found = below[int(match[1])] if isinstance(below, list) and int(match[1]) < len(below) else None
    return found if isinstance(found, dict) else {}


def _found(node: Mapping[str, Any], written: Mapping[str, Any]) -> str:
    op, actual = node["op"], node["actual"]
    if op in ("all", "any"):
        return f"{sum(each['matched'] for each in node['of'])} of {len(node['of'])}"
    if op == "since":
        return "never" if actual is None else f"{_age(actual)} ago"
    if op == "sequence":
        return "it has happened" if actual else "it has not happened"
    if op in ("not", "member", "list", "bucket"):
        return ""
    if actual is None:
        return "not known" if op == "trait" else "nothing"
    if written.get("cmp") in words.DURATIONS:
        return rfc3339(max(actual, EARLIEST))
    return words.value(actual) if not isinstance(actual, float) else f"{actual:g}"


def _age(ms: int) -> str:
    for size, unit in words.UNITS:
        if ms >= size:
            return words.counted(ms // size, unit)
    return f"{ms} ms"


def _nothing(_: Mapping[str, Any]) -> str:
    return ""


def _value(written: Mapping[str, Any]) -> str:
    if "value" not in written:
        return ""
    how = words.COUNTED.get(str(written.get("cmp")))
    return f"{how} {words.value(written['value'])}" if how else words.compared(written)


NEEDED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"event": _value}


def _by(node: Mapping[str, Any]) -> str:
    names = [*node["ends"], *node["either"], *(["a trait"] if node["traits"] else [])]
    return f"only by {' or '.join(names)}" if names else "by nothing"
