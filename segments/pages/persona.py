"""The pages of one persona: its rule, its members, its versions, and what it has in common with another."""

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from keys.models import Project
from keys.visibility import may_change, project_page
from persona.lib import paging
from persona.lib.jsontext import pretty
from segments import log, overview, watermark
from segments.insight import overlapping, reading
from segments.models import Membership, Persona, PersonaVersion
from segments.pages import places
from segments.wording import words
from segments.wording.reasons import SAID

PAGE = 50
CHANGES = 50
VERSIONS = 50


@project_page
def persona_page(request: HttpRequest, project: Project, persona: str) -> HttpResponse:
    """The rule in words and as JSON, the figures of a day, and the newest changes."""
    found = places.persona_of(project, persona)
    rule = found.rule.get("rule", {})
    newest = log.newest(project.pk, found.pk, limit=12)
    names = reading.names(project.pk, {change.profile_id for change in newest})
    shown = {
        "tree": _tree(rule),
        "sentence": words.sentence(found.rule),
        "json": pretty(found.rule),
        "changes": [
            (change, names.get(change.profile_id, change.profile), SAID.get(change.cause, "")) for change in newest
        ],
        "not_said": '"not"' in json.dumps(rule),
    }
    return page(request, project, found, "persona", shown)


@project_page
def member_list(request: HttpRequest, project: Project, persona: str) -> HttpResponse:
    """Page by page, or the one profile that is looked for."""
    found = places.persona_of(project, persona)
    query, token = request.GET.get("q", "").strip()[:512], request.GET.get("after", "")
    after = paging.row_of(token, request.path) if token else 0
    if after is None:
        raise Http404
    shown: dict[str, Any] = {"query": query}
    if query:
        shown |= _one(project, found, query)
    else:
        members, last = reading.members(persona=found, after=after, limit=PAGE)
        shown |= {"members": members, "next": paging.token(last, request.path), "later": bool(token)}
    return page(request, project, found, "members", shown)


@project_page
def version_list(request: HttpRequest, project: Project, persona: str) -> HttpResponse:
    """Newest first, each with what it changed."""
    found = places.persona_of(project, persona)
    versions = list(PersonaVersion.objects.filter(persona=found).order_by("-version")[: VERSIONS + 1])
    following = [*versions[1:], None]
    rows = [
        {
            "version": one,
            "says": words.sentence(one.rule),
            "diff": list(_diff(before.rule if before else None, one.rule)),
        }
        for one, before in zip(versions, following, strict=True)
    ]
    return page(request, project, found, "versions", {"rows": rows[:VERSIONS]})


@project_page
def overlap_page(request: HttpRequest, project: Project, persona: str) -> HttpResponse:
    """How many are in this persona, in another (the first, until one is chosen), and in both."""
    found = places.persona_of(project, persona)
    others = list(Persona.objects.filter(project=project, deleted_at=None).exclude(pk=found.pk).order_by("slug"))
    chosen = next((other for other in others if other.slug == request.GET.get("with")), next(iter(others), None))
    shown: dict[str, Any] = {"others": others, "other": chosen}
    if chosen is not None:
        shown["overlap"] = overlapping.overlap(project_id=project.pk, one=found.pk, other=chosen.pk)
    return page(request, project, found, "overlap", shown)


def page(
    request: HttpRequest, project: Project, persona: Persona, name: str, shown: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """One of the tabs of a persona."""
    mark = watermark.of_project(project.pk)
    (row,) = overview.rows(project, mark.now, [persona])
    shown = {
        **shown, "row": row, "persona": persona, "mark": mark, "tab": name, "project": project, "here": "personas",
        "may_change": may_change(request.user, project),
    }  # fmt: skip
    return render(request, f"segments/{name}.html", shown, status=status)


def _one(project: Project, persona: Persona, query: str) -> dict[str, Any]:
    """The profile that is looked for, if it is a member; and if it is none, that there is such a profile."""
    profile = places.looked_up(project, query)
    if profile is None:
        return {"members": []}
    inside = Membership.objects.filter(
        project=project, profile_id=profile.pk, persona_id=persona.pk, is_member=True
    ).exists()
    members = reading.members(persona=persona, after=profile.pk - 1, limit=1)[0] if inside else []
    return {"members": members, "outside": None if inside else profile}


def _tree(node: dict[str, Any]) -> dict[str, Any]:
    """A group with what is in it; a condition as its phrase."""
    of = node.get("of")
    if node.get("op") in ("all", "any") and isinstance(of, list):
        return {"op": node["op"], "of": [_tree(each) for each in of]}
    if node.get("op") == "not" and isinstance(of, dict) and of.get("op") in ("all", "any"):
        return {"op": "none" if of["op"] == "any" else "some", "of": [_tree(each) for each in of["of"]]}
    return {"op": "", "says": words.phrase(node)}


def _diff(before: object, after: object) -> Iterator[tuple[str, str]]:
    """Lines with what became of them: '+', '-' or ' '."""
    old: Sequence[str] = pretty(before).splitlines() if before is not None else []
    for line in difflib.unified_diff(old, pretty(after).splitlines(), n=2, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield line[:1], line[1:]
