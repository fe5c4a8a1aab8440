"""The pages of a project as a whole: making one, its settings, and its audit log."""

from typing import Any

from django.conf import settings as installation
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from keys import services
from keys.limits.tries import paced
from keys.models import AuditEntry, Project, SettingsVersion
from keys.people.forms import NewProjectForm, SettingsForm, filled
from keys.people.visitor import person
from keys.project_settings import change_settings, require_unchanged, settings_etag
from keys.visibility import owner_form
from persona.lib.problems import Problem

DEEDS = "30/m"
PAGE = 50


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@paced("projects", DEEDS)
def new(request: HttpRequest) -> HttpResponseBase:
    """For operators of the installation; then one lands where the first key is made and the first event sent."""
    who = person(request)
    if not who.is_staff:
        raise PermissionDenied("Operators of this installation make projects. Ask one of them.")
    form = NewProjectForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_project(**form.cleaned_data, owner=who, actor=who)
        except Problem as problem:
            form.add_error("slug", problem.detail)
        else:
            messages.success(request, f"{made.name} is made. Events come in with a key: one press makes it.")
            return redirect(f"{reverse('quickstart')}?project={made.slug}")
    return render(request, "people/new_project.html", {"form": form}, status=422 if form.is_bound else 200)


@owner_form
@paced("settings", DEEDS)
def settings(request: HttpRequest, project: Project) -> HttpResponse:
    """What the project sets for itself; who edits a state that is no longer there is told so and loses nothing."""
    now = settings_etag(project)
    form = SettingsForm(request.POST if request.method == "POST" else None, initial={**filled(project), "etag": now})
    if request.method == "POST" and form.is_valid():
        try:
            _save(request, project, form.cleaned_data)
        except Problem as problem:
            form.add_error(None, problem.detail)
        else:
            messages.success(request, "The settings are saved. They hold everywhere within two seconds.")
            return redirect("project-settings", project.slug)
    shown = {
        "project": project,
        "here": "settings",
        "form": form,
        "etag": form["etag"].value() or now,
        "versions": SettingsVersion.objects.filter(project=project).order_by("-version")[:10],
        "default": installation,
    }
    return render(request, "people/settings.html", shown, status=422 if form.is_bound else 200)


@transaction.atomic
def _save(request: HttpRequest, project: Project, given: dict[str, Any]) -> None:
    """Only what is different from before becomes part of the new version."""
    wanted = {key: value for key, value in given.items() if key not in ("name", "etag")}
    before = project.options
    usual = {key: getattr(before, key) if key not in project.settings else project.settings[key] for key in wanted}
    changes = {
        key: value
        for key, value in wanted.items()
        if value != usual[key] and (value is not None or key in project.settings)
    }
    if changes:
        change_settings(
            project=project,
            changes=changes,
            actor=person(request),
            check=lambda found: require_unchanged(found, given["etag"]),
        )
    services.rename_project(project=project, name=given["name"], actor=person(request))


@owner_form
def audit(request: HttpRequest, project: Project) -> HttpResponse:
    """Newest first; `before` is the number of the oldest entry of the page before."""
    entries = AuditEntry.objects.filter(project=project).order_by("-id")
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        entries = entries.filter(id__lt=int(before))
    page = list(entries[: PAGE + 1])
    shown = {"entries": page[:PAGE], "older": page[PAGE - 1].pk if len(page) > PAGE else None, "paged": bool(before)}
    return render(request, "people/audit.html", {**shown, "project": project, "here": "people"})
