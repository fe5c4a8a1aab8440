"""The editor's form: a draft of a rule in fields, the same as JSON, and what is wrong with either beside its place."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from keys.models import Project
from persona.lib.problems import Problem
from segments import rules, services
from segments.forms import post
from segments.forms.draft import Draft, drafted, empty
from segments.forms.rule import Writing
from segments.wording import words
from segments.wording.words import COMPARED, COUNTED, DURATIONS

KINDS = {
    "event": "event",
    "since": "time since",
    "trait": "trait",
    "sequence": "sequence",
    "member": "persona",
    "json": "JSON",
}
MATCHES = {"all": "All", "any": "Any", "none": "None", "some": "Not all"}
FUNCTIONS = {
    "count": "how often", "sum": "sum of", "avg": "average of", "min": "least", "max": "greatest",
    "distinct": "different", "first": "first", "last": "latest",
}  # fmt: skip
OF_EVENTS = {cmp: word for cmp, word in COMPARED.items() if cmp not in DURATIONS}
OF_FUNCTIONS = {"count": COUNTED, "first": COMPARED, "last": COMPARED}  # those of the others are OF_EVENTS
WINDOWS = {"last": "in the last", "between": "between", "": "ever"}
SIZE = 200_000  # characters of JSON that are read


class RuleForm:
    """One rule being edited. `document`: its JSON; `errors`: (where, what), first the one to be led to.

    Whoever changes the JSON by hand has the last word; else the fields have.
    """

    def __init__(self, document: Mapping[str, Any] | None, posted: QueryDict | None = None, *, event: str = "") -> None:
        """`event`: what a new rule begins with."""
        self.errors: list[str] = []
        self.json_error = ""
        self.root: Draft = drafted(document.get("rule", {})) if document else _new(event)
        self.identified = bool(document and document.get("identified_only"))
        self._text = ""
        if posted is not None:
            self._take(posted)
        self._write()

    @property
    def text(self) -> str:
        return self._text if self.json_error and self._text else json.dumps(self.document, indent=2, ensure_ascii=False)

    @property
    def trouble(self) -> str:
        """The first thing that is wrong, or nothing."""
        return self.json_error or next(iter(self.errors), "")

    @property
    def sentence(self) -> str:
        return words.sentence(self.document)

    @property
    def nodes(self) -> Draft:
        """The draft, laid out: each node with its name in the form and its phrase."""
        return laid_out(self.root, post.ROOT)

    def act(self, deed: str) -> bool:
        """What a button of the form does."""
        done = post.act(self.root, deed)
        self._write()
        return done

    def check(self, project: Project, slug: str | None) -> bool:
        """Whether it could be saved; if not, it says why beside the place."""
        if self.json_error:
            return False
        if self._writing.trouble:
            return self._blame(*self._writing.trouble)
        try:
            services.checked(project, self.document, slug=slug)
        except Problem as problem:
            path = str(problem.extra.get("path", ""))
            return self._blame(path, problem.detail.removeprefix(f"{path}: "))
        return True

    def same_as(self, document: Mapping[str, Any]) -> bool:
        """Whether it means the same as a document, to the letter of the grammar."""
        try:
            return rules.written(rules.parse(document, resolve=_any)) == rules.written(
                rules.parse(self.document, resolve=_any)
            )
        except rules.RuleError:
            return False

    def _take(self, posted: QueryDict) -> None:
        self._text = posted.get("json", "")[:SIZE].replace("\r\n", "\n").strip()
        was = posted.get("json_was", "").replace("\r\n", "\n").strip()
        self.root, self.identified = (
            post.read({name: posted.get(name, "") for name in posted}),
            "identified_only" in posted,
        )
        if self._text and self._text != was:
            self._take_json()

    def _take_json(self) -> None:
        try:
            found = json.loads(self._text)
        except (ValueError, RecursionError) as error:
            self.json_error = f"This is not JSON: {error}."
            return
        if not isinstance(found, dict) or not isinstance(found.get("rule"), dict):
            self.json_error = 'A rule is an object such as {"v": 1, "rule": {"op": "all", "of": [...]}}.'
            return
        if unknown := set(found) - {"v", "rule", "identified_only"}:
            self.json_error = f"{', '.join(sorted(unknown))}: a rule has v, rule and identified_only."
            return
        self.root, self.identified = drafted(found["rule"]), found.get("identified_only") is True

    def _write(self) -> None:
        self._writing = Writing(self.root)
        more = {"identified_only": True} if self.identified else {}
        self.document: dict[str, Any] = {"v": 1, "rule": self._writing.rule, **more}

    def _blame(self, path: str, detail: str) -> bool:
        said = self._writing.blame(path, detail)
        if said is None:
            self.root["error"] = detail
        self.errors.append(said or detail)
        return False


def laid_out(draft: Draft, name: str) -> Draft:
    """For the template: `name` is the prefix of the node's fields."""
    shown = {**draft, "name": name}
    if draft["kind"] == "group":
        shown["of"] = [laid_out(each, f"{name}.{place}") for place, each in enumerate(draft["of"])]
        return shown
    for rows in ("w", "s"):
        shown[rows] = [{**row, "name": f"{name}.{rows}.{place}"} for place, row in enumerate(draft.get(rows, []))]
    shown["says"] = words.phrase(Writing({"kind": "group", "match": "all", "solo": "yes", "of": [draft]}).rule)
    shown["comparators"] = OF_FUNCTIONS.get(str(draft.get("fn", "count")), OF_EVENTS)
    return shown


def _new(event: str) -> Draft:
    return {"kind": "group", "match": "all", "solo": "yes", "of": [{**empty("event"), "event": event}]}


def _any(_: str) -> object:
    """Two rules are compared by what they say, whatever stands in those that they refer to."""
    return {"v": 1, "rule": {"op": "trait", "path": "x", "cmp": "exists"}}
