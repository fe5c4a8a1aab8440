"""Actions of the admin that cannot be taken back: they say what they would do, to whom, and are confirmed first."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

CONFIRM = "confirm"
SHOWN = 20  # rows that are named; of the others the page says how many
Desk = Any  # a ModelAdmin, which is not generic at run time
Action = Callable[[Any, HttpRequest, "QuerySet[Any]"], HttpResponse | None]


def confirmed(question: str, *, most: int) -> Callable[[Action], Action]:
    """At most `most` rows at once: more were selected by accident, or belong to a command."""

    def decorate(action: Action) -> Action:
        @wraps(action)
        def asked(desk: Desk, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
            rows = list(queryset[: most + 1])
            if len(rows) > most:
                desk.message_user(request, f"Nothing was done: select {most} at most.", messages.ERROR)
                return None
            if CONFIRM in request.POST:
                return action(desk, request, queryset)
            return _ask(desk, request, question, action.__name__, rows)

        return asked

    return decorate


def _ask(desk: Desk, request: HttpRequest, question: str, action: str, rows: list[Any]) -> HttpResponse:
    shown = {
        **desk.admin_site.each_context(request),
        "title": question,
        "opts": desk.opts,
        "rows": rows,
        "named": rows[:SHOWN],
        "unnamed": max(0, len(rows) - SHOWN),
        "action": action,
        "confirm": CONFIRM,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/confirm.html", shown)
