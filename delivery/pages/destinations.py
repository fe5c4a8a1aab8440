"""The pages of destinations: the list, making and changing one, and one with its delivery log."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from delivery import services
from delivery.models import Destination
from delivery.pages import lines, overview
from delivery.pages.forms import KINDS, DestinationForm
from keys.limits.tries import paced
from keys.models import Project
from keys.people.visitor import person
from keys.visibility import may_change, project_form, project_page
from persona.lib.problems import Problem

PACE = "60/m"  # for one person
STATUSES = (("", "All"), ("waiting", "Waiting"), ("delivered", "Delivered"), ("dead", "Dead letters"))


@project_page
def destination_list(request: HttpRequest, project: Project) -> HttpResponse:
    rows = overview.of_project(project)
    shown = {"rows": rows, "given_up": [row for row in rows if row.gave_up]}
    return page(request, project, "list", shown)


@project_form
@paced("destinations", PACE)
def destination_new(request: HttpRequest, project: Project) -> HttpResponse:
    """A webhook's secret is in the answer to the form, and nowhere else."""
    form = DestinationForm(request.POST if request.method == "POST" else None, project)
    if request.method == "POST" and form.is_valid():
        try:
            made, secret = services.create_destination(
                project=project, kind=form.cleaned_data["kind"], actor=person(request), **form.given
            )
        except Problem as problem:
            form.refuse(problem)
        else:
            if not made.forwards:
                return page(request, project, "reveal", {"destination": made, "secret": secret})
            messages.success(request, f"{made.name} gets the project's events from now on.")
            return redirect("destination", project.slug, made.public_id)
    return page(request, project, "edit", {"form": form, "kinds": KINDS}, bad=form.is_bound)


@project_form
@paced("destinations", PACE)
def destination_edit(request: HttpRequest, project: Project, destination: str) -> HttpResponse:
    """Who edits a state that is no longer there is told so and loses nothing."""
    found = destination_of(project, destination)
    form = DestinationForm(request.POST if request.method == "POST" else None, project, found)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_destination(
                destination=found,
                changes=form.given,
                actor=person(request),
                check=lambda now: _unchanged(now, form.cleaned_data["version"]),
            )
        except Problem as problem:
            form.refuse(problem)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved.")
            return redirect("destination", project.slug, found.public_id)
    return page(request, project, "edit", {"form": form, "kinds": KINDS, "destination": found}, bad=form.is_bound)


@project_page
def destination_page(request: HttpRequest, project: Project, destination: str) -> HttpResponse:
    """How it does, and its deliveries: filtered and paged by the address."""
    found = destination_of(project, destination)
    (row,) = overview.rows(project, [found])
    status, before = request.GET.get("status", ""), request.GET.get("before", "")
    log, following = lines.page(found, status=status, before=before)
    shown = {
        "row": row,
        "destination": found,
        "lines": log,
        "next": following,
        "later": bool(before),
        "status": status,
        "statuses": STATUSES,
    }
    return page(request, project, "destination", shown)


def destination_of(project: Project, public_id: str) -> Destination:
    """Raises Http404."""
    found = Destination.objects.select_related("project").filter(project=project, public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def page(
    request: HttpRequest, project: Project, name: str, shown: dict[str, Any], *, bad: bool = False
) -> HttpResponse:
    """A page of destinations; 422 for a form that was refused."""
    shown = {**shown, "project": project, "here": "destinations", "may_change": may_change(request.user, project)}
    return render(request, f"delivery/{name}.html", shown, status=422 if bad else 200)


def _unchanged(now: Destination, version: int | None) -> None:
    if version is not None and now.version != version:
        detail = "Somebody saved something else since you opened this page. Open it again and repeat your change."
        raise Problem(412, "precondition.failed", detail)
