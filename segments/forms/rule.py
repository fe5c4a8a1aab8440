"""From a draft to the JSON of its rule, remembering which part of the form each part of the JSON came from. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from segments.forms import values
from segments.forms.draft import MATCHES, Draft
from segments.forms.wrong import LACKING, lacks_value, said
from segments.wording.words import DURATIONS

Json = dict[str, Any]
FIELDS = (
    (".where", "w"), (".window", "n"), (".within", "n"), (".agg", "prop"), (".absent.event", "absent"),
    (".absent", "absent_n"), (".steps", "s"), (".path", "path"), (".persona", "persona"), (".event", "event"),
    (".cmp", "cmp"), (".same", "same"), (".value", "value"),
)  # fmt: skip


class Writing:
    """The JSON of a draft as `rule`; `trouble`: what could not even be written, as (path, detail).

    A root that was made for the form alone (`solo`) and holds one condition is left out again.
    """

    def __init__(self, root: Draft) -> None:
        self.places: dict[str, Draft] = {}
        self.trouble: tuple[str, str] | None = None
        alone = root.get("solo") and root.get("match") == "all" and len(root["of"]) == 1
        self.rule = self._node(root["of"][0] if alone else root, "rule")

    def _node(self, draft: Draft, path: str) -> Json:
        self.places[path] = draft
        if draft["kind"] == "group":
            op, inverted = MATCHES.get(draft.get("match", ""), MATCHES["all"])
            below = f"{path}.of" if inverted else path
            self.places[below] = draft
            of = [self._node(each, f"{below}.of[{place}]") for place, each in enumerate(draft["of"])]
            group: Json = {"op": op, "of": of}
            return {"op": "not", "of": group} if inverted else group
        if draft["kind"] == "json":
            return self._json(draft, path)
        made = WRITERS[draft["kind"]](draft)
        if lacking := next(_compared_with_nothing(draft), None):
            self.trouble = self.trouble or (f"{path}{lacking}", LACKING["value"])
        if not draft.get("not"):
            return made
        self.places[f"{path}.of"] = draft
        return {"op": "not", "of": made}

    def _json(self, draft: Draft, path: str) -> Json:
        try:
            found = json.loads(draft.get("json", ""))
        except ValueError as error:
            self.trouble = self.trouble or (path, f"This is not JSON: {error}.")
            return {}
        return found if isinstance(found, dict) else {"op": found}

    def blame(self, path: str, detail: str) -> str | None:
        """Put the error beside the field that it is about, as it is said there; None if the form has no such place."""
        found = max(
            (one for one in self.places if path == one or path.startswith((f"{one}.", f"{one}["))), key=len, default=""
        )
        if not found:
            return None
        rest = path[len(found) :]
        draft = self.places[found]
        draft["wrong"] = (
            "json" if draft["kind"] == "json" else next((name for part, name in FIELDS if rest.startswith(part)), "")
        )
        if draft["kind"] == "since" and draft["wrong"] == "value":
            draft["wrong"] = "n"
        if draft["kind"] == "sequence" and rest.startswith(".window"):
            draft["wrong"] = "window_n"
        draft["error"] = said(draft, draft["wrong"], detail)
        return str(draft["error"])


def _compared_with_nothing(draft: Draft) -> Iterator[str]:
    """Where: the condition itself, or its filters."""
    if draft["kind"] in ("event", "trait") and lacks_value(draft):
        yield ".value"
    if any(_text(row, "path") and lacks_value(row) for row in draft.get("w", [])):
        yield ".where"


def _text(draft: Draft, key: str) -> str:
    return str(draft.get(key, "")).strip()


def _compared(draft: Draft) -> Json:
    cmp, text = _text(draft, "cmp"), _text(draft, "value")
    if cmp in ("exists", "missing"):
        return {"cmp": cmp}
    if cmp == "in":
        return {"cmp": cmp, "value": values.typed_list(text)}
    if cmp in DURATIONS:
        return {"cmp": cmp, "value": values.spoken(text)}
    return {
        "cmp": cmp,
        "value": text if cmp in ("before", "after", "prefix") and text[:1] != '"' else values.typed(text),
    }


def _where(draft: Draft) -> Json:
    rows = [_trait(row) for row in draft.get("w", [])]
    if not rows:
        return {}
    return {"where": rows[0] if len(rows) == 1 else {"op": "all", "of": rows}}


def _window(draft: Draft, prefix: str = "") -> Json:
    n, unit = _text(draft, f"{prefix}n"), _text(draft, f"{prefix}unit")
    if draft.get("window") == "last":
        return {"window": {"last": values.duration(n, unit)}}
    if draft.get("window") == "between":
        return {"window": {"between": [values.duration(n, unit), values.duration(_text(draft, "n2"), unit)]}}
    return {}


def _trait(draft: Draft) -> Json:
    return {"op": "trait", "path": _text(draft, "path"), **_compared(draft)}


def _event(draft: Draft) -> Json:
    fn = _text(draft, "fn") or "count"
    agg = {} if fn == "count" else {"agg": {"fn": fn, "prop": _text(draft, "prop")}}
    return {"op": "event", "event": _text(draft, "event"), **_where(draft), **agg, **_compared(draft), **_window(draft)}


def _since(draft: Draft) -> Json:
    never = {"if_never": True} if draft.get("if_never") else {}
    named = {key: _text(draft, key) for key in ("event", "which", "cmp")}
    return {
        "op": "since",
        **named,
        **_where(draft),
        "value": values.duration(_text(draft, "n"), _text(draft, "unit")),
        **never,
    }


def _sequence(draft: Draft) -> Json:
    same = [path.strip() for path in _text(draft, "same").split(",") if path.strip()]
    made: Json = {
        "op": "sequence",
        "steps": [{"event": _text(step, "event")} for step in draft.get("s", [])],
        "within": values.duration(_text(draft, "n"), _text(draft, "unit")),
    }
    if same:
        made["same"] = same
    if draft.get("strict"):
        made["strict"] = True
    if _text(draft, "absent"):
        later = values.duration(_text(draft, "absent_n"), _text(draft, "absent_unit"))
        made["absent"] = {"event": _text(draft, "absent"), "within": later}
    return {**made, **_window(draft, "window_")}


def _member(draft: Draft) -> Json:
    return {"op": "member", "persona": _text(draft, "persona")}


WRITERS: Mapping[str, Callable[[Draft], Json]] = {
    "trait": _trait,
    "event": _event,
    "since": _since,
    "sequence": _sequence,
    "member": _member,
}
