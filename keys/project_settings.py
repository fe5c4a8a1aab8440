"""Changing what a project has set for itself. Every state is kept as a version, with who saved it."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Max

from keys.audit import Actor, actor_name, record
from keys.auth import ring
from keys.models import PersonaFlag, Project, ProjectSettings, SettingsVersion
from keys.preconditions import etag
from persona.lib.problems import Problem

KEPT = frozenset({"destinations"})  # by what they are about; nobody sets them
MOST_BYTES = 64 * 1024  # every process keeps the settings of all projects whose keys it uses


def settings_etag(project: Project) -> str:
    return etag("settings", project.slug, {key: value for key, value in project.settings.items() if key not in KEPT})


@transaction.atomic
def change_settings(
    *,
    project: Project,
    changes: Mapping[str, Any],
    actor: Actor,
    check: Callable[[Project], None] = lambda _: None,
) -> SettingsVersion:
    """Merge `changes` into the settings (a null takes a key back to its default), and keep the new version.

    `check` sees the project as it is now, under its lock, and may raise. Raises Problem 400 settings.invalid.
    """
    found = Project.objects.select_for_update().get(pk=project.pk)
    check(found)
    if set(changes) & KEPT:
        raise Problem(400, "settings.invalid", "destinations: these are the names of the project's destinations.")
    merged = {key: value for key, value in {**found.settings, **changes}.items() if value is not None}
    found.settings = checked_settings(merged)
    found.save(update_fields=["settings"])
    _doubt(found)
    kept = keep_version(found, actor)
    record(
        project=found,
        actor=actor,
        action="project.settings_changed",
        target=found.slug,
        detail={"fields": sorted(changes), "version": kept.version},
    )
    return kept


def replace_settings(
    *, project: Project, settings: Mapping[str, Any], etag: str, actor: Actor
) -> SettingsVersion | None:
    """All settings at once; None when they are what they were. 412 when `etag` is not that of the stored ones.

    KEPT stay as they are, whatever `settings` say of them.
    """
    stored = Project.objects.values_list("settings", flat=True).get(pk=project.pk)
    before = {key: value for key, value in stored.items() if key not in KEPT}
    wanted = {key: value for key, value in settings.items() if key not in KEPT}
    changes = {key: wanted.get(key) for key in before | wanted if before.get(key) != wanted.get(key)}
    if not changes:
        return None
    return change_settings(
        project=project,
        changes=changes,
        actor=actor,
        check=lambda found: require_unchanged(found, etag),
    )


def require_unchanged(project: Project, etag: str) -> None:
    """Raises Problem 412: what somebody has edited is no longer what is stored."""
    if settings_etag(project) != etag:
        detail = "Somebody saved other settings since you opened this page. Open it again and repeat your change."
        raise Problem(412, "precondition.failed", detail)


def keep_version(project: Project, actor: Actor) -> SettingsVersion:
    """The settings as they are now, as the next version. Call it where they are saved, in the same transaction."""
    last = SettingsVersion.objects.filter(project=project).aggregate(last=Max("version"))["last"] or 0
    return SettingsVersion.objects.create(
        project=project, version=last + 1, settings=project.settings, author=actor_name(actor)
    )


def checked_settings(given: Any) -> dict[str, Any]:
    """The same, if they are settings. Raises Problem 400 settings.invalid, which names the field."""
    try:
        found = msgspec.convert(given, ProjectSettings)
    except msgspec.ValidationError as error:
        raise Problem(400, "settings.invalid", f"{error}.") from None
    for name, value in found.flags.items():
        if depends(value):
            _check_flag(name, value)
    try:
        json.dumps(given, allow_nan=False)
    except ValueError:
        raise Problem(400, "settings.invalid", "A number in it is larger than any that can be stored.") from None
    if len(msgspec.json.encode(given)) > MOST_BYTES:
        raise Problem(400, "settings.invalid", f"At most {MOST_BYTES} bytes of settings as JSON.")
    return dict(given)


def keep(project: Project, key: str, value: Any) -> None:
    """Set one of KEPT, so that it reaches every process with the settings. In the transaction that changes it."""
    found = Project.objects.select_for_update().get(pk=project.pk)
    Project.objects.filter(pk=found.pk).update(settings={**found.settings, key: value})
    _doubt(found)


def _doubt(project: Project) -> None:
    """Now, for whoever reads through this transaction; after the commit, for who read the old settings meanwhile."""
    ring.doubt(project.pk)
    transaction.on_commit(partial(ring.doubt, project.pk))


def depends(value: Any) -> bool:
    """Whether a flag's value is one that depends on a persona."""
    return isinstance(value, dict) and "persona" in value


def _check_flag(name: str, value: Any) -> None:
    try:
        msgspec.convert(value, PersonaFlag)
    except msgspec.ValidationError as error:
        raise Problem(400, "settings.invalid", f"flags.{name}: {error}.") from None
