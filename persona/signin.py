"""Signing in, for pages and admin alike: one way in, and so many tries a minute."""

from urllib.parse import urlencode

from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django_ratelimit.core import get_usage

# Tries a minute from one address, and for one name from wherever they come.
RATES = {"ip": "20/m", "post:username": "10/m"}

_form = LoginView.as_view(template_name="signin.html", redirect_authenticated_user=True)


@never_cache
def sign_in(request: HttpRequest) -> HttpResponseBase:
    """The form; 429 for who has tried too often."""
    waits = [_wait(request, key, rate) for key, rate in RATES.items()] if request.method == "POST" else []
    if any(waits):
        detail = f"Too many tries. Wait {max(waits)} seconds, then try again."
        page = {"title": "Not so fast", "detail": detail}
        response = render(request, "error.html", page, status=429)
        response["Retry-After"] = str(max(waits))
        return response
    return _form(request)


def _wait(request: HttpRequest, key: str, rate: str) -> int:
    """Seconds until the next try is taken; 0: now. Counts this one."""
    usage = get_usage(request, group="signin", key=key, rate=rate, increment=True)
    return max(1, int(usage["time_left"])) if usage and usage["should_limit"] else 0


def admin_sign_in(request: HttpRequest) -> HttpResponseBase:
    """The admin's own form is not used: it would be a way around the limits of the other."""
    if request.user.is_authenticated:
        raise PermissionDenied  # signed in, and not of the staff
    target = request.GET.get("next") or reverse("admin:index")
    return HttpResponseRedirect(f"{reverse('signin')}?{urlencode({'next': target})}")
