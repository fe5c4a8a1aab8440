"""A shop whose changes are delivered to receivers on this machine."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import Settings

from delivery import services
from delivery.models import Attempt, Destination
from delivery.sending import queue, turn
from keys.models import Project
from tests.delivery.receiver import Receiver, receiver
from tests.ingestion.applying import put, track
from tests.segments.living import now_ms, persona, settle, viewed
from tests.waiting import DEADLINE

PATIENT = 30  # seconds for a request: the most that may be set


@pytest.fixture(autouse=True)
def way_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Private addresses are allowed, as the receivers are on this one; nobody is given up, however busy the machine."""
    settings.PERSONA_ALLOW_PRIVATE_DESTINATIONS = True
    settings.PERSONA_DELIVERY_SECONDS = PATIENT
    monkeypatch.setattr(turn, "SLOW", PATIENT)  # a wave that a busy machine has held up is no slow receiver's


@pytest.fixture
def inbox() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture
def shop(project: Project) -> Project:
    persona(project, "seen", viewed(1))
    persona(project, "keen", viewed(2))
    return project


def webhook(project: Project, url: str, user: User, **fields: Any) -> Destination:
    made, _ = services.create_destination(project=project, kind="webhook", name="hook", url=url, actor=user, **fields)
    return made


def visit(project: Project, *who: str, times: int = 1) -> None:
    """Each of them views a page, and everybody is judged."""
    for _ in range(times):
        put(project, *(track(userId=one) for one in who), received_at=now_ms())
        settle()


def deliver(destination: Destination, *, waiting: int = 0) -> None:
    """Turns until no more than `waiting` deliveries wait, next tries hurried along."""
    deadline = time.monotonic() + DEADLINE
    while True:
        turn.deliver_some()
        left = waiting_at(destination)
        if len(left) <= waiting and _is_through(destination):
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(left)} deliveries still wait: {left[:3]}")
        hurry(destination)


def hurry(destination: Destination) -> None:
    """As if the waits between the tries were over."""
    scope = [destination.project_id, destination.pk]
    with connection.cursor() as cursor:
        cursor.execute(services.HURRY, [queue.clock(), *scope])
        cursor.execute(
            "update delivery_cursor set resting_until = 0 where project_id = %s and destination_id = %s", scope
        )


def _is_through(destination: Destination) -> bool:
    return not queue.due(busy=[], limit=10)


def waiting_at(destination: Destination) -> list[Attempt]:
    return list(
        Attempt.objects.filter(
            project_id=destination.project_id, destination_id=destination.pk, status="waiting"
        ).order_by("seq")
    )


def deliveries(destination: Destination, status: str = "") -> list[Attempt]:
    rows = Attempt.objects.filter(project_id=destination.project_id, destination_id=destination.pk).order_by(
        "seq", "id"
    )
    return list(rows.filter(status=status) if status else rows)
