"""`POST /api/auth/token/` and `.../refresh/`: a person's name and password become a short-lived token for the API.

As many tries as in the form; those from one address are counted together with it. Who has a second factor gets none:
here it could not be asked for.
"""

from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from keys import refusals
from keys.api.bodies import LabeledAnyhow
from keys.limits import tries
from keys.refusals import refusal
from persona.account.signin import RATES
from persona.lib.problems import Problem


def _check_tries(request: Request) -> None:
    """Raises Problem 429."""
    plain = request._request
    given = request.data.get("username") if isinstance(request.data, dict) else None
    plain.tried_name = given  # type: ignore[attr-defined]  # the body is JSON, not a form
    if seconds := max(tries.wait(plain, group="signin", key=key, rate=rate) for key, rate in RATES.items()):
        raise Problem(429, "rate.limited", f"Too many tries. Wait {seconds} seconds.", retry_after=seconds)


def _refuse_factors(person: User) -> None:
    """Raises Problem 403: a password alone would be a way around the second factor."""
    if is_mfa_enabled(person):
        raise refusal(refusals.SECOND_FACTOR)


class PairSerializer(TokenObtainPairSerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        made = super().validate(attrs)
        if isinstance(self.user, User):
            _refuse_factors(self.user)
        return made


class RefreshSerializer(TokenRefreshSerializer):
    """Tokens that are older than the second factor end with their quarter of an hour."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        made = super().validate(attrs)
        claims = self.token_class(attrs["refresh"]).payload
        _refuse_factors(User.objects.get(pk=claims[api_settings.USER_ID_CLAIM]))
        return made


@extend_schema(tags=["auth"])
class TokenView(TokenObtainPairView):
    """`{username, password}` -> `{access, refresh}`."""

    serializer_class = PairSerializer
    parser_classes = (LabeledAnyhow,)

    def post(self, request: Request, *args: object, **more: object) -> Response:
        _check_tries(request)
        try:
            return super().post(request, *args, **more)
        except AuthenticationFailed:
            raise refusal(refusals.SIGN_IN) from None


@extend_schema(tags=["auth"])
class RefreshView(TokenRefreshView):
    """`{refresh}` -> `{access}`."""

    serializer_class = RefreshSerializer
    parser_classes = (LabeledAnyhow,)

    def post(self, request: Request, *args: object, **more: object) -> Response:
        try:
            return super().post(request, *args, **more)
        except (AuthenticationFailed, TokenError, User.DoesNotExist):
            raise refusal(refusals.INVALID_SESSION) from None
