"""A rule as a draft: the texts of the form's fields, node by node. What the form cannot show stays JSON. Pure.

A draft is a dict of texts with a `kind`; groups have their drafts in `of`, events their conditions in `w`, sequences
their steps in `s`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from segments.forms import values
from segments.wording.words import DURATIONS

Draft = dict[str, Any]
Node = Mapping[str, Any]

MATCHES = {"all": ("all", False), "any": ("any", False), "none": ("any", True), "some": ("all", True)}
EMPTY: Mapping[str, Draft] = {
    "group": {"kind": "group", "match": "any", "of": []},
    "event": {"kind": "event", "fn": "count", "cmp": "gte", "value": "1", "window": "last", "n": "7", "unit": "days"},
    "trait": {"kind": "trait", "cmp": "eq"},
    "since": {"kind": "since", "which": "last", "cmp": "gte", "n": "30", "unit": "days"},
    "sequence": {"kind": "sequence", "s": [{"event": ""}, {"event": ""}], "n": "1", "unit": "days", "window": ""},
    "member": {"kind": "member"},
    "json": {"kind": "json", "json": "{}"},
}


def empty(kind: str) -> Draft:
    """A new node; groups begin with one condition."""
    made = {
        key: [dict(each) for each in value] if isinstance(value, list) else value for key, value in EMPTY[kind].items()
    }
    return {**made, "of": [empty("event")]} if kind == "group" else made


def drafted(node: Node) -> Draft:
    """The draft of a node; its root is always a group, so that there is a place to add to."""
    draft = _drafted(node)
    return draft if draft["kind"] == "group" else {"kind": "group", "match": "all", "solo": "yes", "of": [draft]}


def _drafted(node: Node) -> Draft:
    inverted = node.get("op") == "not" and isinstance(node.get("of"), dict)
    inner: Node = node["of"] if inverted else node
    made = READERS.get(str(inner.get("op")), _unread)(inner)
    if made is None or (inverted and inner.get("op") == "not"):
        return {"kind": "json", "json": json.dumps(node, ensure_ascii=False, indent=2)}
    if made["kind"] == "group":
        op = made["match"]
        return {**made, "match": next(key for key, wanted in MATCHES.items() if wanted == (op, inverted))}
    return {**made, "not": "not"} if inverted else made


def _unread(_: Node) -> Draft | None:
    return None


def _group(node: Node) -> Draft | None:
    of = node.get("of")
    if not isinstance(of, list) or not all(isinstance(each, dict) for each in of):
        return None
    return {"kind": "group", "match": node["op"], "of": [_drafted(each) for each in of]}


def _trait(node: Node) -> Draft | None:
    row = _compared(node)
    return row and {"kind": "trait", "path": str(node.get("path", "")), **row}


def _event(node: Node) -> Draft | None:
    agg = node.get("agg") or {"fn": "count"}
    row, window, where = _compared(node), _window(node), _where(node)
    if row is None or window is None or where is None or not set(agg) <= {"fn", "prop"}:
        return None
    named = {"event": str(node.get("event", "")), "fn": str(agg.get("fn")), "prop": str(agg.get("prop") or "")}
    return {"kind": "event", **named, **row, **window, "w": where}


def _since(node: Node) -> Draft | None:
    length, where = values.parts(node.get("value")), _where(node)
    if length is None or where is None:
        return None
    named = {key: str(node.get(key, "")) for key in ("event", "which", "cmp")}
    never = {"if_never": "yes"} if node.get("if_never") else {}
    return {"kind": "since", **named, "n": length[0], "unit": length[1], **never, "w": where}


def _sequence(node: Node) -> Draft | None:
    within, window, absent = values.parts(node.get("within")), _window(node, "window_"), node.get("absent") or {}
    steps = node.get("steps") or []
    later = values.parts(absent.get("within")) if absent else ("", "hours")
    plain = all(isinstance(step, dict) and set(step) == {"event"} for step in steps) and "where" not in absent
    if within is None or later is None or window is None or not plain:
        return None
    return {
        "kind": "sequence",
        "s": [{"event": step["event"]} for step in steps],
        "n": within[0],
        "unit": within[1],
        "same": ", ".join(node.get("same") or []),
        **({"strict": "yes"} if node.get("strict") else {}),
        "absent": str(absent.get("event", "")),
        "absent_n": later[0],
        "absent_unit": later[1],
        **window,
    }


def _member(node: Node) -> Draft | None:
    return {"kind": "member", "persona": str(node.get("persona", ""))}


def _compared(node: Node) -> Draft | None:
    cmp, value = str(node.get("cmp", "")), node.get("value")
    if "value" not in node:
        return {"cmp": cmp, "value": ""}
    if isinstance(value, list):
        text = values.shown_list(value)
        return None if text is None else {"cmp": cmp, "value": text}
    if isinstance(value, dict) or value is None:
        return None
    if cmp in DURATIONS:
        length = values.parts(value)
        return length and {"cmp": cmp, "value": " ".join(length)}
    return {"cmp": cmp, "value": value if cmp in ("before", "after") else values.shown(value)}


def _where(node: Node) -> list[Draft] | None:
    """The conditions on an event; None where they are not all to be true, or no traits."""
    where = node.get("where")
    if where is None:
        return []
    rows = where.get("of") if where.get("op") == "all" else [where]
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("op") == "trait" for row in rows):
        return None
    drafts = [_trait(row) for row in rows]
    return None if None in drafts else [draft for draft in drafts if draft]


def _window(node: Node, prefix: str = "") -> Draft | None:
    """Which window, and its number and unit under `prefix`."""
    window = node.get("window")
    if window is None:
        return {"window": "", f"{prefix}n": "", f"{prefix}unit": "days"} if prefix else {"window": ""}
    if set(window) == {"last"}:
        length = values.parts(window["last"])
        return length and {"window": "last", f"{prefix}n": length[0], f"{prefix}unit": length[1]}
    ages = window.get("between")
    lengths = [values.parts(age) for age in ages] if isinstance(ages, list) and len(ages) == 2 else [None, None]
    older, younger = lengths
    if prefix or older is None or younger is None or older[1] != younger[1]:
        return None
    return {"window": "between", "n": older[0], "n2": younger[0], "unit": older[1]}


READERS: Mapping[str, Callable[[Node], Draft | None]] = {
    "all": _group,
    "any": _group,
    "trait": _trait,
    "event": _event,
    "since": _since,
    "sequence": _sequence,
    "member": _member,
}
