"""System checks: what would go wrong later, said at the start, each with a hint."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

FULL_BATCH = 256  # events of one request: a key must be able to send that at once
SERVERS = frozenset({"uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "celery"})


def serving() -> bool:
    """Does this process answer requests or run tasks, rather than a command?"""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return name in SERVERS or sys.argv[1:2] == ["runserver"]


def secret_key() -> CheckMessage | None:
    """Sessions and secrets at rest hang on it."""
    if settings.SECRET_KEY.startswith("insecure") and not settings.DEBUG and not settings.TESTING and serving():
        hint = "Set PERSONA_SECRET_KEY to 50 random characters, or start with `manage.py up`, which makes one."
        return Error("There is no secret key of this installation's own.", hint=hint, id="persona.E001")
    return None


def burst_holds_a_batch() -> CheckMessage | None:
    if settings.PERSONA_INGEST_RATE and settings.PERSONA_INGEST_BURST < FULL_BATCH:
        hint = f"Set PERSONA_INGEST_BURST to {FULL_BATCH} or more, or PERSONA_INGEST_RATE=0 to have no limit."
        return Caution("PERSONA_INGEST_BURST is smaller than one full batch.", hint=hint, id="persona.W002")
    return None


def burst_holds_a_second() -> CheckMessage | None:
    if settings.PERSONA_INGEST_BURST < settings.PERSONA_INGEST_RATE:
        hint = "Set PERSONA_INGEST_BURST to PERSONA_INGEST_RATE or more."
        text = "PERSONA_INGEST_BURST is below PERSONA_INGEST_RATE: no key can reach its rate with one request a second."
        return Caution(text, hint=hint, id="persona.W003")
    return None


def heartbeat_before_idle() -> CheckMessage | None:
    if settings.PERSONA_STREAM_HEARTBEAT >= settings.PERSONA_STREAM_IDLE:
        hint = "Set PERSONA_STREAM_HEARTBEAT below PERSONA_STREAM_IDLE (defaults: 15 and 900 seconds)."
        return Caution("Streams would be closed as idle before their first heartbeat.", hint=hint, id="persona.W004")
    return None


def hosts_are_named() -> CheckMessage | None:
    if "*" in settings.ALLOWED_HOSTS and not settings.DEBUG:
        hint = "Name the hosts under which people reach this installation in PERSONA_ALLOWED_HOSTS."
        return Caution("Any Host header is accepted.", hint=hint, id="persona.W005")
    return None


def mailed_links_lead_here() -> CheckMessage | None:
    """Who asks for a new password for somebody else would choose, by the Host, where the link in the mail leads."""
    if "*" in settings.ALLOWED_HOSTS and settings.EMAIL_URL and not settings.PUBLIC_URL:
        hint = "Set PERSONA_PUBLIC_URL, or name the hosts in PERSONA_ALLOWED_HOSTS."
        return Error("Mailed links would lead to whatever Host a stranger names.", hint=hint, id="persona.E006")
    return None


CHECKS: tuple[Callable[[], CheckMessage | None], ...] = (
    secret_key,
    burst_holds_a_batch,
    burst_holds_a_second,
    heartbeat_before_idle,
    hosts_are_named,
    mailed_links_lead_here,
)


@register(Tags.security)
def installation(**_: Any) -> list[CheckMessage]:
    """All of the above; whether servers answer is not asked here (that is /ready)."""
    return [message for check in CHECKS if (message := check()) is not None]
