"""The forms that take a code: each code of an app is good for one use."""

from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from django.core.cache import cache


class Once:
    """django-allauth remembers a used code for one period; with a tolerance it would be taken again after that."""

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]  # of the form beside it
        authenticator: Authenticator = self.authenticator  # type: ignore[attr-defined]  # set by that form
        seconds = app_settings.TOTP_PERIOD * (2 * app_settings.TOTP_TOLERANCE + 1)
        used = f"totp:{authenticator.pk}:{normalize_user_code(code)}"
        if authenticator.type == Authenticator.Type.TOTP and not cache.add(used, 1, timeout=seconds):
            raise get_adapter().validation_error("incorrect_code")
        return code


class SignInForm(Once, AuthenticateForm):  # type: ignore[misc]  # allauth is untyped
    """A code at sign-in."""


class ConfirmForm(Once, ReauthenticateForm):  # type: ignore[misc]  # allauth is untyped
    """A code before something of the account changes."""
