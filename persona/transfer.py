"""A project's personas and settings as one document that goes into a file, is edited there, and comes back.

What is in the document is created or changed; what is not stays as it is, unless it is asked that it goes. Nothing that
is equal is touched, and all of it is done or nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec
from django.db import transaction

from keys.audit import Actor
from keys.models import Project
from keys.project_settings import KEPT, change_settings
from persona.lib.problems import Problem
from segments.models import Persona
from segments.services import create_persona, delete_persona, let_leave, update_persona

VERSION = 1
Json = dict[str, Any]


class PersonaDocument(msgspec.Struct, forbid_unknown_fields=True):
    """One persona."""

    slug: str
    rule: Any
    name: str = ""
    status: Literal["live", "draft", "paused"] = "live"


class ProjectDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A project. `project` says where it came from; it may go elsewhere."""

    persona: Literal[1]
    project: str = ""
    settings: Json = {}
    personas: list[PersonaDocument] = []


def document(project: Project) -> Json:
    """All of it as plain data."""
    rows = Persona.objects.filter(project=project, deleted_at=None).order_by("slug")
    return {
        "persona": VERSION,
        "project": project.slug,
        "settings": {key: value for key, value in project.settings.items() if key not in KEPT},
        "personas": [{"slug": row.slug, "name": row.name, "status": _status(row), "rule": row.rule} for row in rows],
    }


def bring_in(project: Project, given: Any, *, actor: Actor, prune: bool = False) -> list[str]:
    """Make the project what the document says; each deed in words. prune: delete the personas that are not in it.
    Raises Problem, and nothing is done then."""
    try:
        wanted = msgspec.convert(given, ProjectDocument)
    except msgspec.ValidationError as error:
        raise Problem(400, "request.invalid", f"{error}.") from None
    ordered = list(_in_order(wanted.personas))
    for one in ordered:
        let_leave(project, one.slug)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # as every edit does: nobody else edits meanwhile
        deeds = [*_settings(project, given, wanted, actor), *(_bring_in(project, one, actor) for one in ordered)]
        gone = _prune(project, {one.slug for one in ordered}, actor) if prune else []
    return [deed for deed in (*deeds, *gone) if deed]


def _settings(project: Project, given: Any, wanted: ProjectDocument, actor: Actor) -> Iterator[str]:
    if "settings" in given and wanted.settings != document(project)["settings"]:
        gone = {key: None for key in project.settings if key not in wanted.settings and key not in KEPT}
        change_settings(project=project, changes={**wanted.settings, **gone}, actor=actor)
        yield "settings changed"


def _prune(project: Project, wanted: Collection[str], actor: Actor) -> list[str]:
    """Those that refer to others go before these. Raises Problem 409 when one that stays refers to one that goes."""
    rows = Persona.objects.select_related("project").filter(project=project, deleted_at=None).exclude(slug__in=wanted)
    by_slug = {row.slug: row for row in rows}
    order = list(_in_order([PersonaDocument(slug=row.slug, rule=row.rule) for row in by_slug.values()]))
    for one in reversed(order):
        delete_persona(persona=by_slug[one.slug], actor=actor)
    return [f"{one.slug} deleted" for one in reversed(order)]


def _bring_in(project: Project, one: PersonaDocument, actor: Actor) -> str:
    found = Persona.objects.select_related("project").filter(project=project, slug=one.slug, deleted_at=None).first()
    if found is None:
        starts = "draft" if one.status == "draft" else "live"
        made = create_persona(project=project, slug=one.slug, name=one.name, rule=one.rule, status=starts, actor=actor)
        if one.status == "paused":
            update_persona(persona=made, changes={"status": "paused"}, actor=actor)
        return f"{one.slug} created"
    changes: Json = {}
    if one.name and one.name != found.name:
        changes["name"] = one.name
    if one.rule != found.rule:
        changes["rule"] = one.rule
    if one.status != _status(found):
        changes["status"] = one.status
    if not changes:
        return ""
    update_persona(persona=found, changes=changes, actor=actor)
    return f"{one.slug} changed: {', '.join(changes)}"


def _in_order(personas: Iterable[PersonaDocument]) -> Iterator[PersonaDocument]:
    """Those that others refer to come first. What refers to nothing known comes last, to be refused by its rule.
    Raises Problem 400 for a slug that is there twice."""
    left: dict[str, PersonaDocument] = {}
    for one in personas:
        if left.setdefault(one.slug, one) is not one:
            raise Problem(400, "request.invalid", f"The persona {one.slug[:70]!r} is there twice.")
    while left:
        ready = [one for one in left.values() if not (set(_referred(one.rule)) - {one.slug}) & left.keys()]
        for one in ready or list(left.values()):
            del left[one.slug]
            yield one


def _referred(rule: Any) -> Iterator[str]:
    """The slugs that a rule names in its `member` nodes."""
    if isinstance(rule, Mapping):
        if rule.get("op") == "member" and isinstance(rule.get("persona"), str):
            yield rule["persona"]
        for value in rule.values():
            yield from _referred(value)
    elif isinstance(rule, list):
        for value in rule:
            yield from _referred(value)


def _status(row: Persona) -> str:
    """As it was asked for: a backfill or an error is a state on the way to live."""
    return row.status if row.status in ("draft", "paused") else "live"
