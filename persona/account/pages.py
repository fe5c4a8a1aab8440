"""Where a person is signed in, and how they end that."""

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from keys.audit import record
from keys.people.visitor import person


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def sessions(request: HttpRequest) -> HttpResponse:
    """POST ends the one that `session` names, or without it all but this one."""
    found = UserSession.objects.purge_and_list(person(request))
    if request.method == "POST":
        return _end(request, found)
    shown = sorted(found, key=lambda session: session.created_at, reverse=True)
    return render(request, "account/sessions.html", {"sessions": shown})


@transaction.atomic
def _end(request: HttpRequest, found: list[UserSession]) -> HttpResponse:
    others = [session for session in found if not session.is_current()]
    if named := request.POST.get("session"):
        others = [session for session in others if str(session.pk) == named]
        if not others:
            raise Http404
    for session in others:
        session.end()
    if others:
        who = person(request)
        detail: dict[str, object] = {"sessions": len(others)}
        target = who.get_username()
        record(project=None, actor=who, action="person.sessions_ended", target=target, detail=detail)
    messages.success(request, "Ended." if named else "You are signed in here and nowhere else.")
    return redirect("sessions")
