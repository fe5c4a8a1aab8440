"""The pages of one delivery: what was sent, every try at it, and sending it once more."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from delivery import again, shapes
from delivery.models import Attempt, Destination
from delivery.pages import lines
from delivery.pages.destinations import PACE, page
from keys.limits.tries import paced
from keys.models import Project
from keys.people.visitor import person
from keys.visibility import project_form, project_page
from persona.lib.jsontext import pretty
from persona.lib.problems import Problem

LARGEST = 2**62


@project_page
def delivery_page(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Each try that is kept: when, what was answered, how long it took."""
    found = _delivery(project, number)
    destination = Destination.objects.filter(project=project, pk=found.destination_id).first()
    if destination is None:
        raise Http404
    (line,) = lines.named(project.pk, [found])
    body = shapes.delivery_whole(found, destination.public_id).body
    shown = {
        "delivery": found,
        "line": line,
        "destination": destination,
        "body": pretty(body) if body else "",
        "tries": list(reversed(found.tries)),
    }
    return page(request, project, "delivery", shown)


@project_form
@paced("destinations", PACE)
def delivery_redeliver(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """There is nothing to look at here."""
    found = _delivery(project, number)
    if request.method == "POST":
        try:
            again.redeliver_one(project=project, attempt=found, actor=person(request))
        except Problem as problem:
            messages.warning(request, problem.detail)
        else:
            messages.success(request, "It is sent again now.")
    return redirect("delivery", project.slug, number)


def _delivery(project: Project, number: int) -> Attempt:
    """Raises Http404."""
    found = Attempt.objects.filter(project=project, id=min(number, LARGEST)).first()
    if found is None:
        raise Http404
    return found
