"""The pages of a project's keys: the list, and making, changing, rotating and revoking one. A secret is shown once."""

from datetime import datetime, timedelta

import msgspec
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from keys import services, uses
from keys.forms import GRACES, KeyForm, RotateForm
from keys.limits.tries import paced
from keys.models import ApiKey, Project
from keys.pages.showing import project_shown
from keys.people.visitor import person
from keys.scopes import allows
from keys.state import state
from keys.uses import Use
from keys.visibility import may_change, project_form, project_page
from persona.lib.problems import Problem

OLD = timedelta(days=90)
DEEDS = "30/m"  # for one person: more than anybody presses, less than a script would want


class Row(msgspec.Struct, frozen=True):
    """A key as the list shows it."""

    key: ApiKey
    state: str
    use: Use
    old: bool

    @property
    def usable(self) -> bool:
        return self.state in ("active", "rotating")

    @property
    def any_origin(self) -> bool:
        return self.state == "active" and self.key.kind == ApiKey.Kind.PUBLISHABLE and not self.key.origins


@project_page
def key_list(request: HttpRequest, project: Project) -> HttpResponse:
    """Usable keys first, then those that have ended; each with its traffic of a day."""
    rows = _rows(project, timezone.now())
    shown = {
        "rows": sorted(rows, key=lambda row: not row.usable),
        "open": [row for row in rows if row.any_origin and project.mode == Project.Mode.LIVE],
        "old": [row for row in rows if row.old],
        "may_change": may_change(request.user, project),
    }
    return _page(request, project, "list", shown)


@project_form
@paced("keys", DEEDS)
def key_new(request: HttpRequest, project: Project) -> HttpResponse:
    form = KeyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        key, secret = services.issue_key(
            project=project,
            kind=form.cleaned_data["kind"],
            name=form.cleaned_data["name"],
            origins=form.cleaned_data["origins"],
            scopes=form.cleaned_data["scopes"],
            expires_at=form.expiry,
            actor=person(request),
        )
        return _revealed(request, project, key, secret)
    return _page(request, project, "new", {"form": form}, bad=form.is_bound)


@project_form
@paced("keys", DEEDS)
def key_change(request: HttpRequest, project: Project, lookup: str) -> HttpResponse:
    key = _key(project, lookup)
    given = {"name": key.name, "kind": key.kind, "origins": "\n".join(key.origins), "scopes": key.scopes}
    form = KeyForm(request.POST if request.method == "POST" else None, initial=given, kind=key.kind)
    if request.method == "POST" and form.is_valid():
        limits = {name: form.cleaned_data[name] for name in ("name", "origins", "scopes")}
        services.change_key(key=key, **limits, actor=person(request))
        messages.success(request, f"{form.cleaned_data['name']} is saved.")
        return redirect("keys", project.slug)
    return _page(request, project, "change", {"form": form, "key": key}, bad=form.is_bound)


@project_form
@paced("keys", DEEDS)
def key_rotate(request: HttpRequest, project: Project, lookup: str) -> HttpResponse:
    key = _key(project, lookup)
    form = RotateForm(request.POST if request.method == "POST" else None, initial={"grace": "24h"})
    refused = ""
    if request.method == "POST" and form.is_valid():
        grace = GRACES[form.cleaned_data["grace"]]
        try:
            new, secret = services.rotate_key(key=key, grace=grace, actor=person(request))
        except Problem as problem:
            refused = problem.detail
        else:
            return _revealed(request, project, new, secret, old=ApiKey.objects.get(pk=key.pk, project=project))
    use = uses.traffic(project.pk, _now()).get(key.pk, Use())
    return _page(
        request, project, "rotate", {"form": form, "key": key, "use": use, "refused": refused}, bad=bool(refused)
    )


@project_form
@paced("keys", DEEDS)
def key_revoke(request: HttpRequest, project: Project, lookup: str) -> HttpResponse:
    key = _key(project, lookup)
    if request.method == "POST":
        services.revoke_key(key=key, actor=person(request))
        messages.success(request, f"{key.name} is revoked: what still uses it is refused from now on.")
        return redirect("keys", project.slug)
    use = uses.traffic(project.pk, _now()).get(key.pk, Use())
    return _page(request, project, "revoke", {"key": key, "use": use})


def _rows(project: Project, now: datetime) -> list[Row]:
    traffic = uses.traffic(project.pk, int(now.timestamp() * 1_000))
    keys = ApiKey.objects.filter(project=project).select_related("created_by", "replaced_by").order_by("-id")
    return [_row(key, traffic.get(key.pk, Use()), now) for key in keys]


def _row(key: ApiKey, use: Use, now: datetime) -> Row:
    found = state(key, now)
    return Row(key, found, use, old=found == "active" and now - key.created_at > OLD)


def _key(project: Project, lookup: str) -> ApiKey:
    key = ApiKey.objects.filter(project=project, lookup=lookup).first()
    if key is None:
        raise Http404
    return key


def _page(
    request: HttpRequest, project: Project, name: str, shown: dict[str, object], *, bad: bool = False
) -> HttpResponse:
    return project_shown(request, project, f"keys/{name}.html", shown, here="keys", status=422 if bad else 200)


def _revealed(
    request: HttpRequest, project: Project, key: ApiKey, secret: str, old: ApiKey | None = None
) -> HttpResponse:
    """In the answer to the form itself: no address, no session and no row ever holds the secret."""
    sends = key.kind == ApiKey.Kind.PUBLISHABLE or allows(frozenset(key.scopes), "events:write")
    origin = request.build_absolute_uri("/")[:-1]
    return _page(
        request, project, "reveal", {"key": key, "secret": secret, "old": old, "sends": sends, "origin": origin}
    )


def _now() -> int:
    return int(timezone.now().timestamp() * 1_000)
