"""Links that leave the page they were made on: in mails, or copied and sent to somebody."""

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


def link(request: HttpRequest, name: str, *arguments: str) -> str:
    """The whole address of a page: below PERSONA_PUBLIC_URL, else below the Host of the request.

    The Host is what the visitor's program says, within PERSONA_ALLOWED_HOSTS.
    """
    path = reverse(name, args=arguments)
    return f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else request.build_absolute_uri(path)
