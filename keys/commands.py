"""What the key commands share: finding what was named, and errors of one line."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.utils import timezone

from keys.models import ApiKey, Project
from keys.spans import parse_span
from persona.lib.clock import parse_instant
from persona.lib.problems import Problem

ACTOR = "manage.py"


def one_line(handle: Callable[..., None]) -> Callable[..., None]:
    """A refusal becomes an error message instead of a traceback."""

    @wraps(handle)
    def guarded(*args: Any, **options: Any) -> None:
        try:
            handle(*args, **options)
        except Problem as problem:
            raise CommandError(problem.detail) from None

    return guarded


def the_project(slug: str) -> Project:
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise CommandError(f"There is no project {slug!r}.")
    return project


def the_key(lookup: str) -> ApiKey:
    key = ApiKey.objects.select_related("project").filter(lookup=lookup).first()
    if key is None:
        raise CommandError("There is no key with this lookup; `list_keys PROJECT` shows them.")
    return key


def the_person(name: str) -> User:
    person = User.objects.filter(username=name).first()
    if person is None:
        raise CommandError(f"There is nobody with the user name {name!r}.")
    return person


def span(text: str) -> timedelta:
    found = parse_span(text)
    if found is None:
        raise CommandError(f"{text!r} is not a span of time such as now, 30m, 24h or 7d.")
    return found


def instant(text: str | None) -> datetime | None:
    """A span from now, or an instant."""
    if text is None:
        return None
    if (found := parse_span(text)) is not None:
        return timezone.now() + found
    if (moment := parse_instant(text)) is not None:
        return datetime.fromtimestamp(moment / 1_000, UTC)
    raise CommandError(f"{text!r} is neither a span such as 30d nor an instant such as 2030-01-31T00:00:00Z.")
