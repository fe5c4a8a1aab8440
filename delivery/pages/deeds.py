"""What is done with a destination: pause, resume, delete, test, rotate the secret, send a range again."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from delivery import again, services, shapes
from delivery.models import Destination
from delivery.pages import overview
from delivery.pages.destinations import PACE, destination_of, page
from delivery.pages.forms import GRACES, RangeForm, RotateForm
from keys.limits.tries import paced
from keys.models import Project
from keys.people.visitor import person
from keys.visibility import project_form
from persona.lib.problems import Problem

# Word, what is done, what is said afterwards.
DEEDS: dict[str, tuple[str, Callable[[Destination, Any], object], str]] = {
    "pause": (
        "Pause",
        lambda one, actor: services.pause_destination(destination=one, actor=actor),
        "is paused: what happens meanwhile waits in the log",
    ),
    "resume": (
        "Resume",
        lambda one, actor: services.resume_destination(destination=one, actor=actor),
        "goes on where it stood",
    ),
    "delete": (
        "Delete",
        lambda one, actor: services.delete_destination(destination=one, actor=actor),
        "is deleted, with its deliveries",
    ),
}


@project_form
@paced("destinations", PACE)
def destination_deed(request: HttpRequest, project: Project, destination: str, deed: str) -> HttpResponse:
    """After a question that says what will happen."""
    found = destination_of(project, destination)
    word, act, done = DEEDS[deed]
    if request.method == "POST":
        act(found, person(request))
        messages.success(request, f"{found.name} {done}.")
        gone = deed == "delete"
        return redirect("destinations", project.slug) if gone else redirect("destination", project.slug, destination)
    (row,) = overview.rows(project, [found])
    return page(request, project, "deed", {"destination": found, "row": row, "deed": deed, "word": word})


@project_form
@paced("destinations", PACE)
def destination_ping(request: HttpRequest, project: Project, destination: str) -> HttpResponse:
    """Sends a test message now and shows what was answered. There is nothing to look at before."""
    found = destination_of(project, destination)
    if request.method != "POST":
        return redirect("destination", project.slug, destination)
    try:
        answer = services.ping(destination=found, actor=person(request))
    except Problem as problem:
        messages.warning(request, problem.detail)
        return redirect("destination", project.slug, destination)
    shown = {"destination": found, "result": shapes.ping_result(answer), "fine": 200 <= answer.status < 300}
    return page(request, project, "ping", shown)


@project_form
@paced("destinations", PACE)
def destination_rotate(request: HttpRequest, project: Project, destination: str) -> HttpResponse:
    """A new signing secret, in the answer to the form and nowhere else."""
    found = destination_of(project, destination)
    if found.forwards:  # its secret is made there: it is changed with its other fields
        return redirect("destination-edit", project.slug, destination)
    form = RotateForm(request.POST if request.method == "POST" else None, initial={"grace": "24h"})
    if request.method == "POST" and form.is_valid():
        grace = GRACES[form.cleaned_data["grace"]]
        secret = services.rotate_secret(destination=found, grace=grace, actor=person(request))
        found.refresh_from_db()
        return page(request, project, "reveal", {"destination": found, "secret": secret, "rotated": True})
    return page(request, project, "rotate", {"destination": found, "form": form}, bad=form.is_bound)


@project_form
@paced("destinations", PACE)
def destination_redeliver(request: HttpRequest, project: Project, destination: str) -> HttpResponse:
    """A range of the change log once more."""
    found = destination_of(project, destination)
    form = RangeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        wanted = form.range
        try:
            count = again.redeliver_range(
                destination=found, first=wanted.first, last=wanted.last, actor=person(request)
            )
        except Problem as problem:
            form.add_error("last", problem.detail)
        else:
            messages.success(request, f"{count:,} {'delivery is' if count == 1 else 'deliveries are'} sent again.")
            return redirect("destination", project.slug, destination)
    (row,) = overview.rows(project, [found])
    return page(request, project, "redeliver", {"destination": found, "form": form, "row": row}, bad=form.is_bound)
