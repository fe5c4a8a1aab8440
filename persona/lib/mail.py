"""A mail server's address as Django's settings."""

from typing import Any
from urllib.parse import unquote, urlsplit

from persona.lib.env import BadEnvironment

# scheme: (usual port, STARTTLS, TLS from the start)
SCHEMES = {"smtp": (587, True, False), "smtps": (465, False, True), "smtp+plain": (25, False, False)}
PATIENCE = 10  # seconds: somebody waits for the page


def settings(url: str) -> dict[str, Any]:
    """Raises BadEnvironment, which does not repeat the address: it may hold a password."""
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    try:
        parts = urlsplit(url)
        port, starttls, tls = SCHEMES[parts.scheme]
        port = parts.port or port
    except (KeyError, ValueError):
        raise BadEnvironment("EMAIL_URL: write smtp://user:password@host:587 or smtps://...:465") from None
    if not parts.hostname:
        raise BadEnvironment("EMAIL_URL names no host: write smtp://user:password@host:587")
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": starttls,
        "EMAIL_USE_SSL": tls,
        "EMAIL_TIMEOUT": PATIENCE,
    }
