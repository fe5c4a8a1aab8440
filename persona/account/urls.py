"""What a person does with their own account. Of the pages of django-allauth only these exist: nobody signs up here.

All of them are limited by address or person; guesses at codes are counted with those at passwords, and django-allauth
takes five wrong codes of one person in five minutes, wherever they come from.
"""

from allauth.account import views as account
from allauth.mfa.base import views as factors
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.urls import path, re_path
from django.views.decorators.cache import never_cache
from django.views.generic import RedirectView

from keys.limits.tries import Limited, paced
from persona.account import pages as account_pages
from persona.account.signin import RATES

DEEDS = "30/m"  # of one person


def own(view: Limited) -> Limited:
    """A page of somebody who is signed in."""
    return never_cache(paced("account", DEEDS, key="user_or_ip")(view))


def guess(view: Limited) -> Limited:
    """A page on which strangers could try: counted with the form of sign-in."""
    return never_cache(paced("signin", RATES["ip"], key="ip")(view))


urlpatterns = [
    path("", own(factors.index), name="mfa_index"),
    path("login/", RedirectView.as_view(pattern_name="signin", query_string=True), name="account_login"),
    path("login/code/", guess(factors.authenticate), name="mfa_authenticate"),
    path("login/passkey/", guess(passkeys.login_webauthn), name="mfa_login_webauthn"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("confirm/", own(account.reauthenticate), name="account_reauthenticate"),
    path("confirm/code/", own(factors.reauthenticate), name="mfa_reauthenticate"),
    path("confirm/passkey/", own(passkeys.reauthenticate_webauthn), name="mfa_reauthenticate_webauthn"),
    path("password/", guess(account.password_reset), name="account_reset_password"),
    path("password/sent/", account.password_reset_done, name="account_reset_password_done"),
    path("password/change/", own(account.password_change), name="account_change_password"),
    path("password/set/", RedirectView.as_view(pattern_name="account_reset_password"), name="account_set_password"),
    re_path(
        r"^password/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        guess(account.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path("password/done/", account.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    path("authenticator/", own(totp.activate_totp), name="mfa_activate_totp"),
    path("authenticator/remove/", own(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("recovery-codes/", own(codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path("recovery-codes/new/", own(codes.generate_recovery_codes), name="mfa_generate_recovery_codes"),
    path("passkeys/", RedirectView.as_view(pattern_name="mfa_index"), name="mfa_list_webauthn"),
    path("passkeys/add/", own(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path("passkeys/<int:pk>/", own(passkeys.edit_webauthn), name="mfa_edit_webauthn"),
    path("passkeys/<int:pk>/remove/", own(passkeys.remove_webauthn), name="mfa_remove_webauthn"),
    path("sessions/", own(account_pages.sessions), name="sessions"),
]
