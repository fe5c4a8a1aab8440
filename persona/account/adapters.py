"""How django-allauth fits in here: addresses, mail that may not be there, and secrets that are sealed at rest."""

from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from keys import sealed
from keys.people import mail
from keys.people.links import link
from persona.lib.log import get_logger

log = get_logger(__name__)
# Whether a mail is sent must not be told by how long the answer takes: somebody asks for addresses that are known.
postman = ThreadPoolExecutor(max_workers=1, thread_name_prefix="postman")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    def get_client_ip(self, request: HttpRequest) -> str:
        """Behind a Unix socket there is none."""
        return str(request.META.get("REMOTE_ADDR") or "::")

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False  # people come by invitation

    def is_safe_url(self, url: str) -> bool:
        """Where `next` may lead: this host alone, and not all that this server would answer to."""
        here = {self.request.get_host()}
        return url_has_allowed_host_and_scheme(url, here, require_https=self.request.is_secure())

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("mfa_index")

    def get_reset_password_from_key_url(self, key: str) -> str:
        return link(self.request, "account_reset_password_from_key", *key.split("-", 1))

    def render_mail(self, template_prefix: str, email: Any, context: dict[str, Any], headers: Any = None) -> Any:
        """The texts name this installation as people know it."""
        return super().render_mail(template_prefix, email, {**context, "home": link(self.request, "home")}, headers)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        if mail.sends():
            postman.submit(deliver, self.render_mail(template_prefix, email, context))


def deliver(message: EmailMessage) -> None:
    """A server that takes no mail is logged, without the address."""
    try:
        message.send()
    except (OSError, SMTPException) as error:
        log.warning("mail.failed", reason=type(error).__name__)


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth is untyped
    def encrypt(self, text: str) -> str:
        return sealed.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return sealed.unseal(encrypted_text)

    def get_totp_label(self, user: User) -> str:
        """What the app shows: one signs in with the name, not with an address."""
        return user.get_username()

    def build_totp_svg(self, url: str) -> str:
        """To stand inside a page: without the declaration of a file."""
        drawn = str(super().build_totp_svg(url))
        return drawn[drawn.index("<svg") :]

    def generate_authenticator_name(self, user: User, type: str) -> str:  # noqa: A002 - allauth names it
        return "Passkey"
