"""So many deeds a minute: for forms that are worth guessing at or pressing again and again."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django_ratelimit.core import get_usage

Limited = Callable[..., HttpResponseBase]


def origin(request: HttpRequest) -> str:
    """RATELIMIT_IP_META_KEY: behind a Unix socket nobody has an address, and all are counted as one."""
    return str(request.META.get("REMOTE_ADDR") or "::")


def wait(request: HttpRequest, *, group: str, key: str, rate: str) -> int:
    """Seconds until the next try is taken; 0: now. Counts this one. `key` and `rate` as django-ratelimit has them."""
    usage = get_usage(request, group=group, key=key, rate=rate, increment=True)
    return max(1, int(usage["time_left"])) if usage and usage["should_limit"] else 0


def too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    """The page that says so, with 429 and Retry-After."""
    detail = f"Too many tries. Wait {seconds} seconds, then try again."
    response = render(request, "error.html", {"title": "Not so fast", "detail": detail}, status=429)
    response["Retry-After"] = str(seconds)
    return response


def paced(group: str, rate: str, *, key: str = "user") -> Callable[[Limited], Limited]:
    """Limits the POSTs of a view, for each signed-in person unless `key` says otherwise."""

    def decorate(view: Limited) -> Limited:
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **more: object) -> HttpResponseBase:
            seconds = wait(request, group=group, key=key, rate=rate) if request.method == "POST" else 0
            return too_many(request, seconds) if seconds else view(request, *args, **more)

        return guarded

    return decorate
