"""What is done with a persona after a question that says what will happen: pause, resume, delete, restore a version."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from keys.limits.tries import paced
from keys.models import Project
from keys.people.visitor import person
from keys.visibility import project_form
from persona.lib.problems import Problem
from segments import services
from segments.models import Persona, PersonaVersion
from segments.pages import places
from segments.pages.persona import page
from segments.wording import words

PACE = "60/m"  # for one person


def _status(status: str) -> Callable[[Persona, Any], object]:
    return lambda persona, actor: services.update_persona(persona=persona, changes={"status": status}, actor=actor)


DEEDS: dict[str, tuple[str, Callable[[Persona, Any], object], str]] = {
    "pause": ("Pause", _status("paused"), "is paused: its members stay as they are"),
    "resume": ("Resume", _status("live"), "is judged again, from now on"),
    "delete": (
        "Delete",
        lambda persona, actor: services.delete_persona(persona=persona, actor=actor),
        "is deleted: its members leave now",
    ),
}


@project_form
@paced("personas", PACE)
def persona_deed(request: HttpRequest, project: Project, persona: str, deed: str) -> HttpResponse:
    found = places.persona_of(project, persona)
    word, act, done = DEEDS[deed]
    refused = ""
    if request.method == "POST":
        try:
            act(found, person(request))
        except Problem as problem:
            refused = problem.detail
        else:
            messages.success(request, f"{found.slug} {done}.")
            return (
                redirect("personas", project.slug)
                if deed == "delete"
                else redirect("persona", project.slug, found.slug)
            )
    using = [other.slug for other in services.dependants(found)]
    shown = {"deed": deed, "word": word, "refused": refused, "using": using}
    return page(request, project, found, "deed", shown, status=422 if refused else 200)


@project_form
@paced("personas", PACE)
def restore(request: HttpRequest, project: Project, persona: str, version: int) -> HttpResponse:
    """An earlier rule becomes the next version."""
    found = places.persona_of(project, persona)
    earlier = PersonaVersion.objects.filter(persona=found, version=version).exclude(version=found.version).first()
    if earlier is None:
        raise Http404
    refused = ""
    if request.method == "POST":
        try:
            saved = services.update_persona(persona=found, changes={"rule": earlier.rule}, actor=person(request))
        except Problem as problem:
            refused = problem.detail
        else:
            messages.success(request, f"Version {version} is restored, as version {saved.version}.")
            return redirect("persona", project.slug, found.slug)
    shown = {"earlier": earlier, "says": words.sentence(earlier.rule), "next": found.version + 1, "refused": refused}
    return page(request, project, found, "restore", shown, status=422 if refused else 200)
