"""The editor of a persona's rule: fields for people, JSON beside them, and a preview before anything is saved."""

import re
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from keys.limits.tries import paced
from keys.models import Project
from keys.people.visitor import person
from keys.visibility import project_form
from persona.lib.problems import Problem
from segments import overview, services, watermark
from segments.forms import editor
from segments.forms.editor import RuleForm
from segments.forms.values import UNITS
from segments.insight import seen
from segments.insight.preview import Preview, preview
from segments.models import Persona, PersonaVersion
from segments.pages import places
from segments.wording.words import COMPARED

PACE = "240/m"  # for one person: a preview comes with each pause in typing
BUDGET = 3.0  # seconds for a preview
NAME_LENGTH = 200


@project_form
@paced("editor", PACE)
def persona_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Slug, name and rule; saving lets profiles enter at once. `?event=name` begins with that event."""
    form = RuleForm(None, request.POST if request.method == "POST" else None, event=request.GET.get("event", "")[:200])
    name = request.POST.get("name", "").strip()[:NAME_LENGTH]
    given = {"slug": request.POST.get("slug", "").strip() or _proposed(name), "name": name}
    shown: dict[str, Any] = {**given, "next": 1}
    if request.method == "POST" and _wanted(request, project, form, None, shown):
        try:
            made = services.create_persona(
                project=project,
                slug=given["slug"],
                name=given["name"] or given["slug"],
                rule=form.document,
                actor=person(request),
                status="draft" if request.POST.get("draft") else "live",
            )
        except Problem as problem:
            shown |= {"slug_error" if problem.code.startswith("persona.") else "refused": problem.detail, "bad": True}
        else:
            messages.success(request, f"{made.slug} is saved{_then(made)}")
            return redirect("persona", project.slug, made.slug)
    return _page(request, project, form, shown)


@project_form
@paced("editor", PACE)
def persona_edit(request: HttpRequest, project: Project, persona: str) -> HttpResponse:
    """Of a persona that is there; a new rule is its next version."""
    found = places.persona_of(project, persona)
    form = RuleForm(_document(request, found), request.POST if request.method == "POST" else None)
    name = request.POST.get("name", found.name).strip()[:NAME_LENGTH]
    shown: dict[str, Any] = {"slug": found.slug, "name": name, "persona": found, "next": found.version + 1}
    if request.method == "POST" and _wanted(request, project, form, found, shown):
        changes = {"name": name or found.slug} | ({} if form.same_as(found.rule) else {"rule": form.document})
        try:
            saved = services.update_persona(persona=found, changes=changes, actor=person(request))
        except Problem as problem:
            shown |= {"refused": problem.detail, "bad": True}
        else:
            said = (
                f"Version {saved.version} is saved{_then(saved)}"
                if "rule" in changes
                else "The rule says the same as before: no new version."
            )
            messages.success(request, said)
            return redirect("persona", project.slug, saved.slug)
    return _page(request, project, form, shown)


def _proposed(name: str) -> str:
    """A slug for a name: Keen readers -> keen_readers."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:64].strip("_")


def _document(request: HttpRequest, persona: Persona) -> dict[str, Any]:
    """The rule in force, or that of the version in the address."""
    asked = request.GET.get("version", "")
    if not asked:
        return dict(persona.rule)
    version = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else 0
    earlier = PersonaVersion.objects.filter(persona=persona, version=version).first()
    if earlier is None:
        raise Http404
    return dict(earlier.rule)


def _wanted(
    request: HttpRequest, project: Project, form: RuleForm, persona: Persona | None, shown: dict[str, Any]
) -> bool:
    """Carry out the button that was pressed; True if it is to be saved, and could be."""
    deed = request.POST.get("do", "preview")
    if ":" in deed or deed == "layout":
        form.act(deed)
        return False
    fine = form.check(project, persona.slug if persona else None)
    if fine and deed == "preview":
        shown["preview"] = _previewed(project, form, persona, shown)
    if deed == "save" and persona is None and not shown["slug"]:
        shown["slug_error"] = "Say what it is called in addresses and code, such as cart_abandoner."
        fine = False
    shown["bad"] = deed == "save" and not fine
    return fine and deed == "save"


def _previewed(project: Project, form: RuleForm, persona: Persona | None, shown: dict[str, Any]) -> Preview | None:
    try:
        return preview(project=project, rule=form.document, persona=persona, budget=BUDGET)
    except Problem as problem:
        shown["refused"] = problem.detail
        return None


def _then(persona: Persona) -> str:
    return (
        ": a draft, by which nobody is judged." if persona.status == "draft" else ": everybody is being judged by it."
    )


def _page(request: HttpRequest, project: Project, form: RuleForm, shown: dict[str, Any]) -> HttpResponse:
    mark = watermark.of_project(project.pk)
    persona = shown.get("persona")
    others = Persona.objects.filter(project=project, deleted_at=None).order_by("slug")
    shown = {
        **shown,
        "form": form,
        "node": form.nodes,
        "kinds": editor.KINDS,
        "matches": editor.MATCHES,
        "functions": editor.FUNCTIONS,
        "compared": COMPARED,
        "of_events": editor.OF_EVENTS,
        "windows": editor.WINDOWS,
        "units": list(UNITS),
        "seen": seen.seen(project.pk, mark.now),
        "others": [slug for slug in others.values_list("slug", flat=True) if not persona or slug != persona.slug],
        "row": overview.rows(project, mark.now, [persona])[0] if persona else None,
        "mark": mark,
        "project": project,
        "here": "personas",
    }
    return render(request, "segments/edit.html", shown, status=422 if shown.get("bad") else 200)
