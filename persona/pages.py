"""Pages that are about no single project: home, sign-in, static files, and what probes ask."""

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.decorators import login_required
from django.contrib.staticfiles.views import serve
from django.db.models import Count, Q
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from keys.visibility import visible_projects
from persona import metrics
from persona.errors import answered
from persona.health import probes, readiness
from persona.lib.problems import Problem
from persona.lib.wire import Answer

MOST_PROJECTS = 100


@never_cache
@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    counted = visible_projects(request.user).annotate(
        persona_count=Count("personas", filter=Q(personas__deleted_at=None))
    )
    projects = list(counted[: MOST_PROJECTS + 1])
    shown = {"projects": projects[:MOST_PROJECTS], "more": len(projects) > MOST_PROJECTS, "here": "home"}
    return render(request, "home.html", shown)


def asset(request: HttpRequest, path: str) -> HttpResponseBase:
    """A file of ours or of an app, whole: under ASGI Django would stream it through a thread. Checked at every load."""
    found = serve(request, path, insecure=True)
    if isinstance(found, FileResponse):
        whole = HttpResponse(b"".join(found), headers=dict(found.headers))
        if found.file_to_stream:  # and not the response: that would end the request
            found.file_to_stream.close()
        found = whole
    found["Cache-Control"] = "no-cache"
    return found


def sdk(request: HttpRequest) -> HttpResponseBase:
    """The browser's SDK, for pages of any origin; what it does there is between the page and its key."""
    found = asset(request, "assets/sdk.js")
    found["Cache-Control"] = "public, max-age=600"
    found["Access-Control-Allow-Origin"] = "*"
    found["Cross-Origin-Resource-Policy"] = "cross-origin"
    return found


def probe(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """What programs ask without any credential: they read a problem, never a page about cookies."""

    @never_cache
    @csrf_exempt
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            allowed = (("allow", "GET, HEAD"),)
            return answered(Problem(405, "request.method", "Only GET, HEAD here.", headers=allowed), request.path)
        return view(request)

    return answer


@probe
def health(request: HttpRequest) -> HttpResponse:
    """For servers that speak WSGI; the same as through raw ASGI."""
    return _shown(probes.ALIVE)


@probe
def ready(request: HttpRequest) -> HttpResponse:
    """The same."""
    return _shown(probes.said(readiness.check()))


def _shown(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.body, answer.media_type, answer.status, headers=dict(answer.headers))


@probe
def measured(request: HttpRequest) -> HttpResponse:
    """For Prometheus, and for the operator alone."""
    try:
        metrics.require_operator(request)
    except Problem as problem:
        return answered(problem, request.path)
    text, media_type = metrics.exposition(request.headers.get("accept", ""))
    return HttpResponse(text, media_type)
