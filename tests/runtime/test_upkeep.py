"""What has expired is gone, and what has not is not."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import connection
from django.utils import timezone

from keys.models import Invitation, Project
from persona.celery import app
from persona.tasks import maintain

pytestmark = pytest.mark.django_db


def invitation(project: Project, name: bytes, life: timedelta) -> None:
    end = timezone.now() + life
    Invitation.objects.create(project=project, role="viewer", digest=name, invited_by="alice", expires_at=end)


def test_what_has_expired_is_forgotten(project: Project, alice: User) -> None:
    past, future = timedelta(hours=-1), timedelta(hours=1)
    for name, life in (("session-old", past), ("session-new", future)):
        Session.objects.create(session_key=name, session_data="", expire_date=timezone.now() + life)
        UserSession.objects.create(user=alice, ip="192.0.2.1", user_agent="x", session_key=name)
        invitation(project, name.encode(), life)
        caches["default"].set(name, 1, timeout=life.total_seconds())
    maintain()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["session-new"]
    assert list(UserSession.objects.values_list("session_key", flat=True)) == ["session-new"]
    assert [bytes(one.digest) for one in Invitation.objects.all()] == [b"session-new"]
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from persona_cache where key like '%%session-old' or key like '%%session-new'")
        assert cursor.fetchone() == (1,)


def test_beat_asks_for_it() -> None:
    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert "persona.maintain" in scheduled
    assert scheduled <= app.tasks.keys()
