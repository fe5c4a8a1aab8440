"""The rule's form as it is posted: `r.1.event=order_placed`, read into a draft, and what its buttons do to it. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from segments.forms.draft import EMPTY, Draft, empty

ROOT = "r"
NODES, DEPTH, ROWS = 64, 6, 8  # more than that the grammar refuses, too
LISTS = ("of", "w", "s")
TEXTS = frozenset({
    "kind", "match", "not", "event", "fn", "prop", "path", "cmp", "value", "window", "n", "n2", "unit", "which",
    "if_never", "same", "strict", "absent", "absent_n", "absent_unit", "window_n", "window_unit", "persona", "json",
})  # fmt: skip


def read(posted: Mapping[str, str]) -> Draft:
    """The draft of what was posted. A group is numbered `r.0`, conditions are `r.0.w.0`, steps `r.0.s.1`."""
    tree: dict[str, Any] = {}
    for name, text in posted.items():
        keys = name.split(".")
        if keys[0] != ROOT or len(keys) > 2 * DEPTH + 4:
            continue
        place = tree
        for key in keys[1:-1]:
            below = place.setdefault(key, {})
            place = below if isinstance(below, dict) else {}
        place.setdefault(keys[-1], text)
    return _group({"kind": "group", **tree}, [NODES])


def _node(tree: Mapping[str, Any], left: list[int]) -> Draft:
    kind, was = str(tree.get("kind", "event")), str(tree.get("was", tree.get("kind", "event")))
    if kind not in EMPTY:
        kind = "event"
    if kind == "group":
        return _group(tree, left)
    if kind != was:  # another kind was chosen: what the two have in common stays
        return {**empty(kind), **({"event": tree["event"]} if "event" in tree and kind in ("event", "since") else {})}
    draft: Draft = {key: str(value) for key, value in tree.items() if key in TEXTS and not isinstance(value, dict)}
    draft["kind"] = kind
    if kind in ("event", "since"):
        draft["w"] = [_row(row) for row in _numbered(tree.get("w"))][:ROWS]
    if kind == "sequence":
        draft["s"] = [_row(row) for row in _numbered(tree.get("s"))][:ROWS]
    return draft


def _group(tree: Mapping[str, Any], left: list[int]) -> Draft:
    of = []
    for each in _numbered(tree):
        left[0] -= 1
        if left[0] > 0:
            of.append(_node(each, left))
    solo = {"solo": "yes"} if tree.get("solo") else {}
    return {"kind": "group", "match": str(tree.get("match", "all")), "of": of, **solo}


def _row(tree: Mapping[str, Any]) -> Draft:
    return {key: str(value) for key, value in tree.items() if key in TEXTS and not isinstance(value, dict)}


def _numbered(tree: object) -> list[Mapping[str, Any]]:
    """What is below the numbers of a place, in their order."""
    if not isinstance(tree, dict):
        return []
    numbers = sorted((key for key in tree if key.isascii() and key.isdecimal() and len(key) < 4), key=int)
    return [tree[key] for key in numbers if isinstance(tree[key], dict)]


def act(root: Draft, deed: str) -> bool:
    """Carry out what a button says (`add:r.1`); False if it names no deed or no place."""
    word, _, place = deed.partition(":")
    if word not in DEEDS:
        return False
    found = _found(root, place.split("."))
    return found is not None and DEEDS[word](*found)


def _found(root: Draft, keys: list[str]) -> tuple[list[Any], int, Draft] | None:
    """The list that holds the node, its place in it, and the node."""
    holder: list[Any] = [root]
    at = 0
    name = "of"
    for key in keys[1:]:
        if key in ("w", "s"):
            name = key
            continue
        below = holder[at].get(name)
        if not key.isdecimal() or not isinstance(below, list) or int(key[:4]) >= len(below):
            return None
        holder, at, name = below, int(key), "of"
    return (holder, at, holder[at]) if keys[0] == ROOT else None


def _add(_: list[Any], __: int, node: Draft) -> bool:
    node.setdefault("of", []).append(empty("event"))
    return True


def _nest(_: list[Any], __: int, node: Draft) -> bool:
    node.setdefault("of", []).append(empty("group"))
    return True


def _remove(holder: list[Any], at: int, _: Draft) -> bool:
    del holder[at]
    return True


def _filter(_: list[Any], __: int, node: Draft) -> bool:
    node.setdefault("w", []).append({"path": "", "cmp": "eq", "value": ""})
    return True


def _step(_: list[Any], __: int, node: Draft) -> bool:
    node.setdefault("s", []).append({"event": ""})
    return True


DEEDS: Mapping[str, Callable[[list[Any], int, Draft], bool]] = {
    "add": _add,
    "group": _nest,
    "remove": _remove,
    "filter": _filter,
    "step": _step,
}
