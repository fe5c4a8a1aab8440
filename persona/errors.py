"""What Django and DRF refuse by themselves, in our words: problem+json on the paths of programs, else a page."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Any

import structlog
from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from rest_framework import exceptions
from rest_framework.views import set_rollback

from ingestion.wires import refused_at
from keys.limits import tries
from keys.refusals import INVALID, MISSING, refusal
from persona.lib.log import get_logger
from persona.lib.problems import Problem, no_such_thing
from persona.lib.wire import Answer
from persona.middleware import CONTENT_POLICY

log = get_logger(__name__)

PROGRAMS = ("/api/", "/v1/", "/health", "/ready", "/metrics")  # who asks here reads JSON


def _database_away(error: Exception) -> Problem:
    log.error("request.database_away", error=type(error).__name__)
    detail = "The database does not answer right now. Nothing was done. Try again."
    return Problem(503, "service.unavailable", detail, retry_after=2)


def internal() -> Problem:
    return Problem(500, "internal", "The fault is ours, not yours. The request id leads to the log.")


def _method(error: exceptions.MethodNotAllowed, allowed: str) -> Problem:
    return Problem(405, "request.method", f"Only {allowed or 'other methods'} here.", headers=(("allow", allowed),))


def _invalid(error: exceptions.ValidationError) -> Problem:
    plain = json.loads(json.dumps(error.detail))  # its texts are of a class of DRF's own
    return Problem(400, "request.invalid", "Some values cannot be taken.", extra={"errors": plain})


def _throttled(error: exceptions.Throttled) -> Problem:
    wait: float | None = getattr(error, "wait", None)
    return Problem(429, "rate.limited", "Too many requests. Try again later.", retry_after=max(1, ceil(wait or 1)))


# The most particular first: some are kinds of others.
_TRANSLATED: tuple[tuple[type[Exception], Callable[[Any], Problem]], ...] = (
    (Http404, lambda _: no_such_thing()),
    (exceptions.NotFound, lambda _: no_such_thing()),
    (exceptions.NotAuthenticated, lambda _: refusal(MISSING)),
    (exceptions.AuthenticationFailed, lambda _: refusal(INVALID)),
    (exceptions.ValidationError, _invalid),
    (exceptions.ParseError, lambda _: Problem(400, "request.not_json", "The body is not JSON.")),
    (exceptions.UnsupportedMediaType, lambda _: Problem(415, "request.media_type", "Send application/json.")),
    (RecursionError, lambda _: Problem(400, "request.invalid", "The body is nested too deeply.")),
    (OperationalError, _database_away),
    (InterfaceError, _database_away),
    (exceptions.NotAcceptable, lambda _: Problem(406, "request.accept", "Answers here are application/json.")),
    (exceptions.Throttled, _throttled),
    (PermissionDenied, lambda _: Problem(403, "auth.forbidden", "You may not do this.")),
    (exceptions.PermissionDenied, lambda error: Problem(403, "auth.forbidden", str(error.detail))),
)


def api_exception(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """DRF's exception handler; None for what is a fault of ours."""
    problem = _translated(error, context)
    if problem is None:
        return None
    set_rollback()
    return answered(problem, context["request"].path)


def _translated(error: Exception, context: Mapping[str, Any]) -> Problem | None:
    if isinstance(error, Problem):
        return error
    if isinstance(error, exceptions.MethodNotAllowed):
        return _method(error, ", ".join(context["view"].allowed_methods))
    for kind, translate in _TRANSLATED:
        if isinstance(error, kind):
            return translate(error)
    return None


def answered(problem: Problem, path: str) -> HttpResponse:
    """The problem as a Django response, in the words of the wire that `path` belongs to."""
    answer = refused_at(path)(problem)
    return HttpResponse(answer.body, answer.media_type, answer.status, headers=dict(answer.headers))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400."""
    if isinstance(exception, DisallowedHost):
        detail = "This server does not answer to that Host. See PERSONA_ALLOWED_HOSTS."
        return _shown(request, Problem(400, "request.host", detail), "This is not the right address")
    if isinstance(exception, RequestDataTooBig):
        return _shown(request, Problem(413, "request.too_large", "The body is too large."), "This is too much")
    return _shown(request, Problem(400, "request.invalid", "The request makes no sense here."), "This makes no sense")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403."""
    return _shown(request, Problem(403, "auth.forbidden", str(exception) or "You may not do this."), "Not allowed")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW: a form without the token of its page."""
    detail = "This form is not from a page of ours, or too old, or cookies are blocked. Load its page again."
    return _shown(request, Problem(403, "auth.forbidden", detail), "Not allowed")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404: the same for what does not exist and for what is not the visitor's to see."""
    return _shown(request, no_such_thing(), "Nothing here")


def too_many(request: HttpRequest) -> HttpResponse:
    """handler429: of django-allauth, which counts by the minute."""
    return tries.too_many(request, 60)


def broken(request: HttpRequest) -> HttpResponse:
    """handler500: the page names the request, so that its log lines can be found."""
    page = {
        "title": "This page could not be made",
        "detail": "The fault is ours. Events go on being accepted and stored: this page has no part in that.",
        "request_id": structlog.contextvars.get_contextvars().get("request_id", "unknown"),
        "now": datetime.now(UTC),
        "status": 500,
    }
    if request.path.startswith(PROGRAMS):
        return answered(internal(), request.path)
    return render(request, "error.html", page, status=500)


def before_django(path: str, problem: Problem) -> Answer:
    """For those who are turned away before Django sees them."""
    if path.startswith(PROGRAMS):
        return refused_at(path)(problem)
    page, policy = _plain_page(problem.detail), ("content-security-policy", CONTENT_POLICY)
    return Answer(problem.status, page, "text/html; charset=utf-8", (*problem.header_lines(), policy))


@lru_cache(maxsize=10)
def _plain_page(detail: str) -> bytes:
    return render_to_string("error.html", {"title": "This cannot be answered now", "detail": detail}).encode()


def _shown(request: HttpRequest, problem: Problem, title: str) -> HttpResponse:
    if request.path.startswith(PROGRAMS):
        return answered(problem, request.path)
    return render(request, "error.html", {"title": title, "detail": problem.detail}, status=problem.status)
