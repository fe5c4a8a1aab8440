"""Somebody who is signed in, in one statement: Django's `force_login` takes nine, and tells everybody of it."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from django.utils.crypto import get_random_string


def signed_in(user: User) -> Client:
    """A browser with a session of theirs."""
    data = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    end = timezone.now() + timedelta(days=1)
    session = Session(get_random_string(32).lower(), SessionStore().encode(data), end)
    session.save(force_insert=True)
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    return client
