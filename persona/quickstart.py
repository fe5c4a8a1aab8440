"""/quickstart: from nothing to the first event on one page, with a key that is shown this once."""

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from keys import services
from keys.limits.tries import paced
from keys.models import ApiKey, Project
from keys.visibility import EDITORS, may_change, visible_projects, with_role
from segments.pages import arriving

MOST_PROJECTS = 100
DEEDS = "30/m"  # as on the page of keys


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@paced("keys", DEEDS)
def quickstart(request: HttpRequest) -> HttpResponse:
    """`?project=slug` names the project, else the newest is it. A POST makes a publishable key, filled in once."""
    projects = list(with_role(visible_projects(request.user), request.user)[:MOST_PROJECTS])
    project = _chosen(request, projects)
    changing = project is not None and may_change(request.user, project)
    secret = _new_key(request, project, changing) if request.method == "POST" else ""
    shown = {
        "projects": projects,
        "chosen": project,
        "project": project,  # its pages stand beside
        "secret": secret,
        "may_change": changing,
        "origin": request.build_absolute_uri("/")[:-1],
        "glimpse": arriving.newest(project.pk) if project else None,
        "here": "quickstart",
    }
    return render(request, "quickstart.html", shown)


def _chosen(request: HttpRequest, projects: list[Project]) -> Project | None:
    slug = request.POST.get("project") or request.GET.get("project")
    if not slug:
        return projects[0] if projects else None
    found = with_role(visible_projects(request.user), request.user).filter(slug=slug).first()
    if found is None:
        raise Http404
    return found


def _new_key(request: HttpRequest, project: Project | None, changing: bool) -> str:
    """In the answer to the press itself: no address, no session and no row ever holds the secret."""
    if project is None or not changing or not isinstance(request.user, User):
        raise PermissionDenied(EDITORS)
    _, secret = services.issue_key(
        project=project,
        kind=ApiKey.Kind.PUBLISHABLE,
        name="Quickstart",
        actor=request.user,
    )
    return secret
