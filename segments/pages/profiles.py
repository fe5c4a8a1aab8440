"""The pages of profiles: the search, one profile with its timeline, and why it is in a persona or not."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from ingestion.models import Alias, Profile
from keys.models import Project
from keys.pages.showing import project_shown
from keys.visibility import project_page
from persona.lib.clock import LATEST, parse_instant
from persona.lib.jsontext import pretty
from persona.lib.problems import Problem
from segments import definitions, watermark
from segments.insight import counting, explaining, reading, timeline
from segments.models import Persona
from segments.pages import places
from segments.wording.reason_tree import events_of, reasons
from segments.wording.reasons import SAID

NEWEST = 25
SHOWS = (("", "All"), ("events", "Events"), ("changes", "Changes"))


@project_page
def profile_list(request: HttpRequest, project: Project) -> HttpResponse:
    """Finds one by any of its ids; without a question the newest."""
    query = request.GET.get("q", "").strip()[:512]
    found = places.looked_up(project, query) if query else None
    if found is not None:
        return redirect("profile", project.slug, found.public_id)
    newest: list[Profile] = []
    if not query:
        kept = Profile.objects.filter(project=project, merged_into=None).only(
            "id", "public_id", "first_seen", "last_seen"
        )
        newest = list(kept.order_by("-id")[:NEWEST])
    names = reading.external_ids(project.pk, [profile.pk for profile in newest])
    rows = [(profile, names.get(profile.pk, [])) for profile in newest]
    return _page(request, project, "profiles", {"query": query, "rows": rows, "mark": watermark.of_project(project.pk)})


@project_page
def profile_page(request: HttpRequest, project: Project, profile: str) -> HttpResponse:
    """Traits, ids, personas with when they end, and the timeline."""
    found = places.profile_of(project, profile)
    if found.public_id != profile:  # merged: there is one address for one person
        return redirect("profile", project.slug, found.public_id)
    show, asked = request.GET.get("show", ""), request.GET.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 16 else LATEST
    days, following = timeline.timeline(project.pk, found.pk, before=before, show=show)
    inside = reading.belongings(project=project, profile_id=found.pk)
    slugs = {one.persona for one in inside}
    others = Persona.objects.filter(project=project, deleted_at=None).exclude(slug__in=slugs).order_by("slug")
    aliases = Alias.objects.filter(project=project, profile_id=found.pk).order_by("kind", "external_id")
    known = [(alias.get_kind_display().lower(), alias.external_id) for alias in aliases[:100]]
    shown = {
        "profile": found,
        "name": _name(found, known),
        "known": known,
        "traits": [(key, _trait(value)) for key, value in sorted(found.traits.items())],
        "inside": inside,
        "others": list(others.values_list("slug", flat=True)[:100]),
        "days": days,
        "following": following,
        "earlier": before != LATEST,
        "show": show,
        "shows": SHOWS,
        "said": SAID,
    }
    return _page(request, project, "profile", shown)


@project_page
def profile_explain(request: HttpRequest, project: Project, profile: str, persona: str) -> HttpResponse:
    """Now, or at the instant of the address: past, or future if nothing happens."""
    found, judged = places.profile_of(project, profile), places.persona_of(project, persona)
    asked, wrong = request.GET.get("at", ""), ""
    at = parse_instant(asked) if asked else None
    if asked and at is None:
        wrong = "An instant is written as 2026-11-23T16:42:17, in UTC."
    try:
        answer = explaining.explain(persona=judged, profile=found, at=at)
    except Problem as problem:
        wrong = problem.detail
        answer = explaining.explain(persona=judged, profile=found)
    documents = {**definitions.documents_of(project.pk), judged.slug: judged.rule}
    shown = {
        "profile": found,
        "name": reading.names(project.pk, [found.pk]).get(found.pk, found.public_id),
        "persona": judged,
        "answer": answer,
        "asked": answer.at[:19] if not wrong else asked,
        "wrong": wrong,
        "reasons": reasons(answer.rule, documents, judged.slug),
        "events": counting.events(project.pk, found.pk, events_of(answer.rule)),
    }
    return _page(request, project, "explain", shown, status=422 if wrong else 200)


def _name(profile: Profile, known: list[tuple[str, str]]) -> str:
    given = profile.traits.get("name") or profile.traits.get("email")
    if isinstance(given, str) and given:
        return given[:100]
    users = [external for kind, external in known if kind == "user"]
    return users[0] if users else profile.public_id


def _trait(value: object) -> str:
    return value if isinstance(value, str) else pretty(value)


def _page(
    request: HttpRequest, project: Project, name: str, shown: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    return project_shown(request, project, f"segments/{name}.html", shown, here="profiles", status=status)
