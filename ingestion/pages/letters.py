"""The pages of what could not be stored: dead letters, to be corrected, put back or given up; and parked batches."""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect

from ingestion import causes, deadletters, parked
from ingestion.models import Batch, DeadLetter
from ingestion.shapes import letter_shown
from keys.limits.tries import paced
from keys.models import Project
from keys.pages.showing import project_shown
from keys.people.visitor import person
from keys.visibility import may_change, project_form, project_page
from persona.lib.problems import Problem

PAGE = 50
AT_ONCE = 500  # letters put back with one press
BODY = 200_000  # characters of an event that are shown and taken
PACE = "120/m"  # for one person

NEWEST = 2**63 - 1  # before all of them


class Line(msgspec.Struct, frozen=True):
    """A letter as the list shows it; name: of its event, where that can be read."""

    letter: DeadLetter
    name: str


@project_page
def letter_list(request: HttpRequest, project: Project) -> HttpResponse:
    """Newest first; by cause, with what can be done for all of a cause."""
    before = _number(request.GET.get("before", ""))
    code = request.GET.get("code", "")[:100]
    kept = DeadLetter.objects.filter(project=project, **({"code": code} if code else {}))
    found = list((kept.filter(id__lt=before) if before else kept).order_by("-id")[: PAGE + 1])
    shown = {
        "lines": [Line(letter, _name(letter)) for letter in found[:PAGE]],
        "next": found[PAGE - 1].pk if len(found) > PAGE else None,
        "later": bool(before),
        "code": code,
        "causes": causes.of_project(project),
    }
    return _page(request, project, "letters", shown)


@project_page
def letter_download(request: HttpRequest, project: Project) -> HttpResponseBase:
    """All of them, one JSON object a line, streamed by pages."""
    answer = StreamingHttpResponse(_streamed(project), content_type="application/x-ndjson")
    answer["Content-Disposition"] = f'attachment; filename="dead-letters-{project.slug}.ndjson"'
    return answer


@project_form
@paced("letters", PACE)
def letter(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """One letter: its event to be corrected in place."""
    found = DeadLetter.objects.select_related("project").filter(project=project, id=min(number, NEWEST)).first()
    if found is None:
        raise Http404
    if request.method != "POST":
        return _letter(request, project, found, _pretty(bytes(found.body)))
    if request.POST.get("do") == "discard":
        deadletters.discard(letter=found, actor=person(request))
        messages.success(request, f"The event {found.index} of {found.batch_id} is given up.")
        return redirect("letters", project.slug)
    text = request.POST.get("body", "")[:BODY]
    event = None if text.strip() == _pretty(bytes(found.body)).strip() else text.encode()
    try:
        if request.POST.get("do") == "check":
            deadletters.check(letter=found, event=bytes(found.body) if event is None else event)
            return _letter(request, project, found, text, fine=True)
        deadletters.redrive(letter=found, actor=person(request), event=event)
    except Problem as problem:
        return _letter(request, project, found, text, wrong=problem.detail)
    messages.success(
        request, "The event is back in the inbox. It is stored within a second: watch it on the live page."
    )
    return redirect("letters", project.slug)


@project_form
@paced("letters", PACE)
def letters_of_code(request: HttpRequest, project: Project, code: str) -> HttpResponse:
    """All letters of one cause: put back as they are, or given up, after a question."""
    cause = next((one for one in causes.of_project(project) if one.code == code), None)
    if cause is None:
        raise Http404
    if request.method != "POST":
        shown = {
            "cause": cause,
            "at_once": min(cause.n, AT_ONCE),
            "do": request.GET.get("do", "redrive"),
        }
        return _page(request, project, "letters_all", shown)
    upto = _number(request.POST.get("upto", "")) or cause.newest
    if request.POST.get("do") == "discard":
        gone = deadletters.discard_all(project=project, code=code, upto=upto, actor=person(request))
        messages.success(request, f"{gone:,} events are given up.")
        return redirect("letters", project.slug)
    letters = DeadLetter.objects.select_related("project").filter(project=project, code=code, id__lte=upto)
    done, refused = deadletters.redrive_all(letters=letters.order_by("id")[:AT_ONCE], actor=person(request))
    if done:
        messages.success(request, f"{done:,} events are back in the inbox.")
    if refused:
        messages.warning(request, f"{len(refused):,} are still refused, such as {refused[0]}")
    return redirect("letters", project.slug)


@project_page
def parked_list(request: HttpRequest, project: Project) -> HttpResponse:
    """Batches that could not be applied at all: they wait for a person, and hold nobody up."""
    rows = Batch.objects.using(settings.INBOX_ALIAS).filter(project_id=project.pk, parked=True)
    return _page(request, project, "parked", {"batches": list(rows.order_by("id").defer("body")[:PAGE])})


@project_form
@paced("letters", PACE)
def parked_retry(request: HttpRequest, project: Project, row: int) -> HttpResponse:
    """Have it tried again. There is nothing to look at here."""
    if request.method != "POST":
        return redirect("parked", project.slug)
    if not parked.retry(project=project, row=min(row, NEWEST), actor=person(request)):
        raise Http404
    messages.success(request, "The batch is tried again now. If it fails again, it comes back here.")
    return redirect("parked", project.slug)


async def _streamed(project: Project) -> AsyncIterator[bytes]:
    before: int | None = None
    while page := await sync_to_async(deadletters.newest)(project=project, before=before, limit=PAGE):
        before = page[-1].pk
        yield b"".join(msgspec.json.encode(letter_shown(letter)) + b"\n" for letter in page)


def _letter(
    request: HttpRequest, project: Project, found: DeadLetter, text: str, *, wrong: str = "", fine: bool = False
) -> HttpResponse:
    shown = {"letter": found, "name": _name(found), "text": text, "wrong": wrong, "fine": fine}
    return _page(request, project, "letter", shown, status=422 if wrong else 200)


def _page(
    request: HttpRequest, project: Project, name: str, shown: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    aside = Batch.objects.using(settings.INBOX_ALIAS).filter(project_id=project.pk, parked=True)
    shown = {**shown, "parked": aside.count(), "may_change": may_change(request.user, project)}
    return project_shown(request, project, f"ingestion/{name}.html", shown, here="letters", status=status)


def _pretty(body: bytes) -> str:
    """JSON with lines, where it is JSON that says the same; else the text as it came."""
    text = body.decode(errors="replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text[:BODY]


def _name(letter: DeadLetter) -> str:
    try:
        found = msgspec.json.decode(bytes(letter.body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    name = found.get("event", found.get("type")) if isinstance(found, dict) else None
    return name[:100] if isinstance(name, str) else ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
