"""Who may do what: projects, their members, their API keys, and what was done with them.

Configuration tables: few rows, Django ids and foreign keys, no column that changes fast.
"""

from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from persona.lib.clock import MS_PER_DAY

SLUG_PATTERN = "^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$"
SLUG = RegexValidator(r"\A[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?\Z", "Lower-case letters, digits, - and _; at most 64.")


class SamplingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of events with this name (a trailing * stands for any rest), which share the SDKs send: 0 to 1."""

    event: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    rate: Annotated[float, msgspec.Meta(ge=0, le=1)]


class PersonaFlag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value of a flag that depends on a persona: `on` for its members, `off` for everybody else."""

    persona: str
    on: Any = True
    off: Any = False


class ProjectSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a project may set for itself; None means the installation's default.

    ingest_rate: events a second for each key, sustained; ingest_burst: events at once;
    retention_days: how long events count; pk_streams: what a publishable key may read on the stream;
    sample_rate, flush_interval_ms, refresh_after (s), sampling: what the SDKs are told; flags too, by name: any value,
    or a PersonaFlag; destinations: names of the active ones, set by themselves.
    """

    ingest_rate: Annotated[int, msgspec.Meta(ge=0)] | None = None
    ingest_burst: Annotated[int, msgspec.Meta(ge=1)] | None = None
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] | None = None
    pk_streams: Literal["project", "profile", "off"] = "project"
    sample_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    flush_interval_ms: Annotated[int, msgspec.Meta(ge=1)] = 15_000
    refresh_after: Annotated[int, msgspec.Meta(ge=1)] = 45
    flags: dict[str, Any] = {}
    sampling: list[SamplingRule] = []
    destinations: list[str] = []


def default_shards() -> int:
    return int(settings.PERSONA_SHARDS)


class Project(models.Model):
    """A tenant: every event, profile, persona and key belongs to exactly one."""

    class Mode(models.TextChoices):
        LIVE = "live"
        TEST = "test"

    slug = models.CharField(max_length=64, unique=True, validators=[SLUG])
    name = models.CharField(max_length=200)
    mode = models.CharField(max_length=4, choices=Mode, default=Mode.LIVE)
    shards = models.PositiveSmallIntegerField(default=default_shards, editable=False)
    settings = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def options(self) -> ProjectSettings:
        """The settings, checked and with their defaults."""
        return msgspec.convert(self.settings, ProjectSettings)

    @property
    def retention(self) -> int:
        """How long an event counts, in ms."""
        return (self.options.retention_days or int(settings.PERSONA_RETENTION_DAYS)) * MS_PER_DAY


class Member(models.Model):
    """A person's role in one project."""

    class Role(models.TextChoices):
        OWNER = "owner"
        EDITOR = "editor"
        VIEWER = "viewer"

    project = models.ForeignKey(Project, models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=6, choices=Role, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="keys_member_once")]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class Invitation(models.Model):
    """A link that makes whoever opens it a member, once and until it expires. digest: SHA-256 of its token."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=6, choices=Member.Role)
    email = models.EmailField(blank=True)  # where it was sent, or whom it was made for
    digest = models.BinaryField(max_length=32, unique=True)  # opening the link
    invited_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["project", "-id"], name="keys_invitation_newest")]  # the list of people

    def __str__(self) -> str:
        return f"{self.email or 'a link'} ({self.role})"


class ApiKey(models.Model):
    """A credential of a project. The secret itself is shown once and never stored.

    lookup: the key's first characters, up to and including 8 of its random ones: finds the row and may be shown.
    digest: SHA-256 of the whole key (a key has 190 bits of chance: a slow hash would add nothing).
    """

    class Kind(models.TextChoices):
        PUBLISHABLE = "pk"
        SECRET = "sk"  # noqa: S105 - the kind, not a secret

    project = models.ForeignKey(Project, models.CASCADE, related_name="api_keys")
    kind = models.CharField(max_length=2, choices=Kind)
    name = models.CharField(max_length=200)
    lookup = models.CharField(max_length=24, unique=True)  # the resolver's only query, on a cache miss
    digest = models.BinaryField(max_length=32)
    origins = models.JSONField(default=list, blank=True)  # allowed Origins of a pk; empty: any
    scopes = models.JSONField(default=list, blank=True)  # scopes of an sk; empty: all
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.lookup}…)"


class ProjectSecret(models.Model):
    """What a project shares with somebody who signs: Shopify, or its own server for its users. Sealed, because we sign
    with it too; at most two of a kind, so that one can follow the other.
    """

    class Kind(models.TextChoices):
        SHOPIFY = "shopify"
        IDENTITY = "identity"

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind)
    sealed = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["project", "kind"], name="keys_secret_of_a_project")]  # every signature

    def __str__(self) -> str:
        return f"{self.kind} secret {self.pk}"


class KeyUse(models.Model):
    """How many events came in with a key in one hour, and when last. Instants are ms. Bulk: written with the events."""

    pk = models.CompositePrimaryKey("project_id", "key_id", "hour")
    project_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    hour = models.BigIntegerField()  # its first ms
    events = models.BigIntegerField()
    last_used_at = models.BigIntegerField()

    class Meta:
        verbose_name = "key use"


class KeySighting(models.Model):
    """When a key was last used for something (`way`), in ms, and by what: an origin, or a program's own words."""

    pk = models.CompositePrimaryKey("project_id", "key_id", "way")
    project_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    way = models.CharField(max_length=8)
    at = models.BigIntegerField()
    used_by = models.CharField(max_length=80)

    class Meta:
        verbose_name = "key sighting"


class AuditEntry(models.Model):
    """Who changed what, when, and from where. Never a secret, never an object: ids and words."""

    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="audit")
    actor = models.CharField(max_length=200)  # a user name, or "manage.py", or a key's lookup
    action = models.CharField(max_length=64)  # entity.verb: key.rotated
    target = models.CharField(max_length=200, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["project", "-id"], name="keys_audit_newest"),  # the project's audit page
            models.Index(fields=["actor", "-id"], name="keys_audit_actor"),  # the admin's search, with the next
            models.Index(fields=["target", "-id"], name="keys_audit_target"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"


class SettingsVersion(models.Model):
    """The settings of a project as they were saved; never changed."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="settings_versions")
    version = models.PositiveIntegerField()
    settings = models.JSONField()
    author = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="keys_settingsversion_once")]


class IdempotencyKey(models.Model):
    """The answer to a request that may be repeated. Sealed: some answers show a secret."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    key = models.CharField(max_length=64)  # digest of caller, address and the given key
    request = models.CharField(max_length=64)  # digest of the body
    status = models.PositiveSmallIntegerField(null=True)  # None: not answered yet
    answer = models.TextField(default="")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="keys_idempotencykey_once")]
        indexes = [models.Index(fields=["at"], name="keys_idempotencykey_at")]  # forgetting
