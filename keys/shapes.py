"""Projects, their settings and their keys as the API takes and shows them."""

from typing import Annotated, Any, Literal

import msgspec
from django.utils import timezone

from keys.models import ApiKey, Project, SamplingRule, SettingsVersion
from keys.state import state
from persona.lib.clock import milliseconds, rfc3339

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewProject(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a create."""

    slug: str
    name: Name
    mode: Literal["live", "test"] = "live"


class ProjectShown(msgspec.Struct):
    """A project. shards never change."""

    slug: str
    name: str
    mode: Literal["live", "test"]
    shards: int
    created_at: str


class ProjectPage(msgspec.Struct):
    """The projects that the caller may see, newest first."""

    results: list[ProjectShown]
    next: str | None


class ChangedSettings(msgspec.Struct, forbid_unknown_fields=True):
    """The keys to change; null takes one back to its default. (Read by the service, which knows what else holds.)"""

    ingest_rate: Annotated[int, msgspec.Meta(ge=0)] | None = None
    ingest_burst: Annotated[int, msgspec.Meta(ge=1)] | None = None
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] | None = None
    pk_streams: Literal["project", "profile", "off"] | None = None
    sample_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    flush_interval_ms: Annotated[int, msgspec.Meta(ge=1)] | None = None
    refresh_after: Annotated[int, msgspec.Meta(ge=1)] | None = None
    flags: dict[str, Any] | None = None
    sampling: list[SamplingRule] | None = None


class SettingsShown(msgspec.Struct):
    """A version of a project's settings: as they were saved."""

    version: int
    settings: dict[str, Any]
    author: str
    at: str | None


class SettingsPage(msgspec.Struct):
    """Newest first."""

    results: list[SettingsShown]
    next: str | None


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a create. expires_in: a span such as 90d."""

    kind: Literal["pk", "sk"]
    name: Name
    origins: list[str] = []
    scopes: list[str] = []
    expires_in: str = ""


class KeyRotation(msgspec.Struct, forbid_unknown_fields=True):
    """grace: for how long the old key works on, a span such as 24h; `now` for none."""

    grace: str = "24h"


class KeyShown(msgspec.Struct):
    """A key, without its secret. lookup: its first characters, by which it is named."""

    lookup: str
    kind: Literal["pk", "sk"]
    name: str
    state: str
    origins: list[str]
    scopes: list[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    replaced_by: str | None


class MadeKey(KeyShown):
    """A key and, this once, all of it."""

    key: str


class KeyPage(msgspec.Struct):
    """The keys of the project, newest first."""

    results: list[KeyShown]
    next: str | None


def project_shown(project: Project) -> ProjectShown:
    created = rfc3339(milliseconds(project.created_at))
    return ProjectShown(project.slug, project.name, project.mode, project.shards, created)  # type: ignore[arg-type]  # a choice of the column


def settings_shown(row: SettingsVersion) -> SettingsShown:
    return SettingsShown(row.version, row.settings, row.author, rfc3339(milliseconds(row.at)))


def key_shown(key: ApiKey) -> KeyShown:
    return KeyShown(**_key(key))


def key_made(key: ApiKey, secret: str) -> MadeKey:
    return MadeKey(**_key(key), key=secret)


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "lookup": key.lookup,
        "kind": key.kind,
        "name": key.name,
        "state": state(key, timezone.now()),
        "origins": key.origins,
        "scopes": key.scopes,
        "created_at": rfc3339(milliseconds(key.created_at)),
        "expires_at": key.expires_at and rfc3339(milliseconds(key.expires_at)),
        "revoked_at": key.revoked_at and rfc3339(milliseconds(key.revoked_at)),
        "replaced_by": key.replaced_by.lookup if key.replaced_by else None,
    }
