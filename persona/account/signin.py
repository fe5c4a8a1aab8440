"""Signing in, for pages and admin alike: one way in, and so many tries a minute."""

import unicodedata
from urllib.parse import urlencode

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache

from keys.limits import tries

NAME = "persona.account.signin.tried_name"  # django-ratelimit imports it
# Tries a minute from one address, and for one name from wherever they come.
RATES = {"ip": "20/m", NAME: "10/m"}


def tried_name(_: str, request: HttpRequest) -> str:
    """Whom a try is for. Fields trim blanks, and the form folds letters of the same meaning into one (NFKC): counted
    as they were typed, every way of writing a name would have tries of its own."""
    given = getattr(request, "tried_name", None) or request.POST.get("username", "")
    return unicodedata.normalize("NFKC", str(given)[:1_000]).strip()


class SignIn(LoginView):
    """Name and password; who has a second factor is then asked for it, and is not signed in before."""

    template_name = "signin.html"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        answer: HttpResponse = perform_password_login(self.request, {"username": form.get_user().get_username()}, login)
        return answer


_form = SignIn.as_view()


@never_cache
def sign_in(request: HttpRequest) -> HttpResponseBase:
    """The form; 429 for who has tried too often."""
    tried = RATES.items() if request.method == "POST" else ()
    seconds = max((tries.wait(request, group="signin", key=key, rate=rate) for key, rate in tried), default=0)
    return tries.too_many(request, seconds) if seconds else _form(request)


def admin_sign_in(request: HttpRequest) -> HttpResponseBase:
    """The admin's own form is not used: it would be a way around the limits of the other."""
    if request.user.is_authenticated:
        raise PermissionDenied("The admin is for operators of this installation.")
    target = request.GET.get("next") or reverse("admin:index")
    return HttpResponseRedirect(f"{reverse('signin')}?{urlencode({'next': target})}")
