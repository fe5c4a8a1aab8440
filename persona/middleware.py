"""A request id in, the same out; what a page may load; and no address that no row can hold. For all of Django's."""

from collections.abc import Callable

import structlog
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase

from keys.audit import coming_from
from persona.lib import wire

# Everything a page loads is our own file: no inline script, no other host. Event properties come from strangers.
CONTENT_POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


def request_id(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Takes the caller's X-Request-Id if it is sane, binds it to the logs and returns it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = request.META["HTTP_X_REQUEST_ID"] = wire.request_id(request.META.get("HTTP_X_REQUEST_ID"))
        with structlog.contextvars.bound_contextvars(request_id=given):
            response = get_response(request)
        response["X-Request-Id"] = given
        return response

    return middleware


def origin(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """The audit says from where each deed came."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with coming_from(request.META.get("REMOTE_ADDR") or None):
            return get_response(request)

    return middleware


def content_policy(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Sends CONTENT_POLICY unless the view has set a policy of its own."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        return response

    return middleware


def null_free(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """PostgreSQL takes no U+0000 in a text: an address that carries one is refused before any view looks for it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("U+0000 in the address")
        return get_response(request)

    return middleware
