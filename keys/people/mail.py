"""Sending what people wait for. Without EMAIL_URL nothing is sent: a link to copy is shown instead."""

from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail

from keys.models import Invitation
from persona.lib.log import get_logger

log = get_logger(__name__)


def sends() -> bool:
    """Does this installation send mail?"""
    return bool(settings.EMAIL_URL)


def invitation(made: Invitation, link: str) -> bool:
    """Whether it went out. A server that does not take it is logged; the link is shown either way."""
    if not (sends() and made.email):
        return False
    text = (
        f"{made.invited_by} invites you to {made.project} on Persona, as {made.role}.\n\n"
        f"Open this link before {made.expires_at:%d %b %Y %H:%M} UTC. It works once:\n{link}\n"
    )
    try:
        send_mail(f"Invitation to {' '.join(made.project.name.split())}", text, None, [made.email])
    except (OSError, SMTPException) as error:
        log.warning("mail.failed", project=made.project_id, reason=type(error).__name__)
        return False
    return True
