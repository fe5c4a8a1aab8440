"""What expires by the clock and is of no app: cached counters, sessions, invitations. Otherwise strangers fill tables:
each try at a name, and each visit that leaves something in a session, is a row."""

from importlib import import_module
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.utils import timezone

from keys.models import Invitation


def forget_expired() -> None:
    """Idempotent."""
    prune = getattr(cache, "prune", None)  # Redis forgets by itself
    if prune is not None:
        prune()
    engine: Any = import_module(settings.SESSION_ENGINE)
    engine.SessionStore.clear_expired()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    Invitation.objects.filter(expires_at__lte=timezone.now()).delete()
