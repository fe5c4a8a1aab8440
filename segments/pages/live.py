"""The live page of a project: the whole page, and the rows that came after a position, once a second."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from keys.models import Project
from keys.visibility import project_page
from persona.lib.problems import Problem
from segments.pages import arriving

LARGEST = (1 << 63) - 1


@project_page
def live_page(request: HttpRequest, project: Project) -> HttpResponse:
    glimpse = arriving.newest(project.pk)
    return render(request, "segments/live.html", {"project": project, "glimpse": glimpse, "here": "live"})


@project_page
def live_rows(request: HttpRequest, project: Project) -> HttpResponse:
    """`{"rows": html, "event": n, "change": n, "shown": n, "seen": n}`: what came after the two given numbers."""
    try:
        event, change = _position(request, "after_event"), _position(request, "after_change")
    except Problem as problem:
        body, media_type = problem.rendered()
        return HttpResponse(body, media_type, problem.status)
    glimpse = arriving.since(project.pk, after_event=event, after_change=change)
    rows = render_to_string("segments/_rows.html", {"glimpse": glimpse, "project": project}).strip()
    numbers = {"event": glimpse.event, "change": glimpse.change, "shown": glimpse.shown, "seen": glimpse.seen}
    return JsonResponse({"rows": rows, **numbers})


def _position(request: HttpRequest, name: str) -> int:
    given = request.GET.get(name, "")
    if not (given.isascii() and given.isdecimal() and len(given) < 20 and int(given) <= LARGEST):
        raise Problem(400, "request.parameter", f"`{name}` has to be a number of the log, such as 0.")
    return int(given)
