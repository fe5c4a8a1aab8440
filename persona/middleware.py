"""A request id in, the same out: every response of Django's carries X-Request-Id."""

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase

from persona.lib import wire


def request_id(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Takes the caller's X-Request-Id if it is sane, binds it to the logs and returns it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = wire.request_id(request.headers.get("x-request-id"))
        with structlog.contextvars.bound_contextvars(request_id=given):
            response = get_response(request)
        response["X-Request-Id"] = given
        return response

    return middleware
