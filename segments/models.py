"""Personas (configuration) and what the evaluator knows of them (bulk tables, SQL in migration 0001)."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from keys.models import SLUG, Project


class Persona(models.Model):
    """A live segment defined by a rule. A deleted one keeps its row, hidden, while the log still speaks of it."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        BACKFILLING = "backfilling"
        LIVE = "live"
        PAUSED = "paused"
        ERROR = "error"

    project = models.ForeignKey(Project, models.CASCADE, related_name="personas")
    slug = models.CharField(max_length=64, validators=[SLUG])
    name = models.CharField(max_length=200)
    rule = models.JSONField()  # the envelope of RULES: {"v": 1, "rule": ..., "identified_only": ...}
    version = models.PositiveIntegerField(default=1)
    # Counts what the rule has meant: another rule, another rule of a persona it refers to, another retention, a resume.
    revision = models.PositiveIntegerField(default=1, editable=False)
    redefined_at = models.DateTimeField(null=True, editable=False)  # since when it has had that meaning
    status = models.CharField(max_length=11, choices=Status, default=Status.DRAFT)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            # Slugs are free again at once when a persona is deleted.
            models.UniqueConstraint(
                fields=["project", "slug"], condition=Q(deleted_at=None), name="segments_persona_slug"
            )
        ]

    def __str__(self) -> str:
        return self.name


class PersonaVersion(models.Model):
    """A rule as it was saved; never changed."""

    persona = models.ForeignKey(Persona, models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    rule = models.JSONField()
    author = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["persona", "version"], name="segments_personaversion_once")]


class Lane(models.Model):
    """Its row lock is the lock of one shard of a project: per-profile order hangs on it."""

    pk = models.CompositePrimaryKey("project", "shard")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    shard = models.SmallIntegerField()

    class Meta:
        managed = False
        db_table = "segments_lane"


class Membership(models.Model):
    """Whether a profile is in a persona, since when, and at which instant time alone could change that."""

    pk = models.CompositePrimaryKey("project", "profile_id", "persona_id")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    profile_id = models.BigIntegerField()
    persona_id = models.BigIntegerField()
    shard = models.SmallIntegerField()
    is_member = models.BooleanField()
    since = models.BigIntegerField()
    revision = models.IntegerField()  # the persona's when it was judged last
    recheck_at = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "segments_membership"


class Change(models.Model):
    """The log: one row per enter or leave, numbered per project without gaps, in commit order."""

    class Op(models.TextChoices):
        ENTER = "enter"
        LEAVE = "leave"

    pk = models.CompositePrimaryKey("project", "seq")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    seq = models.BigIntegerField()
    profile_id = models.BigIntegerField()
    persona_id = models.BigIntegerField()
    op = models.TextField(choices=Op)
    at = models.BigIntegerField()
    cause = models.TextField()
    version = models.IntegerField()
    trigger = models.BinaryField(null=True)  # uid of the event
    late_ms = models.BigIntegerField(null=True)
    silent = models.BooleanField(default=False)

    class Meta:
        managed = False
        db_table = "segments_change"


class Head(models.Model):
    """The log's last number, the version of all of the project's rules together, and the retention they were judged by
    (ms; None: not known)."""

    project = models.OneToOneField(Project, models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="+")
    last_seq = models.BigIntegerField(default=0)
    rules_version = models.BigIntegerField(default=0)
    retention = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "segments_head"


class PersonaHour(models.Model):
    """How many entered and left a persona in an hour; hour: its first millisecond, 0: ever since it was made."""

    pk = models.CompositePrimaryKey("project", "persona_id", "hour")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    persona_id = models.BigIntegerField()
    hour = models.BigIntegerField()
    enters = models.BigIntegerField()
    leaves = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "segments_personahour"


class BackfillJob(models.Model):
    """Evaluate every profile of a shard for one version of a persona: a cursor over profile ids."""

    pk = models.CompositePrimaryKey("project", "persona_id", "shard")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    persona_id = models.BigIntegerField()
    shard = models.SmallIntegerField()
    version = models.IntegerField()
    silent = models.BooleanField(default=False)  # its changes are logged, and not told
    cursor = models.BigIntegerField(default=0)
    done = models.BooleanField(default=False)

    class Meta:
        managed = False
        db_table = "segments_backfilljob"


class PersonaWarning(models.Model):
    """What the data of some profiles does to a rule that its author will hardly have meant."""

    class Kind(models.TextChoices):
        TYPE_MISMATCH = "type_mismatch"
        CAPPED = "capped"

    pk = models.CompositePrimaryKey("project", "persona_id", "kind", "path")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    persona_id = models.BigIntegerField()
    kind = models.TextField(choices=Kind)
    path = models.TextField()
    since = models.BigIntegerField()
    latest = models.BigIntegerField()
    profiles = ArrayField(models.BigIntegerField())  # the first hundred

    class Meta:
        managed = False
        db_table = "segments_personawarning"


class VerifyResult(models.Model):
    """What the last verification of a project found, and how far the present one is."""

    project = models.OneToOneField(Project, models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="+")
    at = models.BigIntegerField(null=True)  # when the last one ended, ms
    differences = models.IntegerField(default=0)
    report = models.BinaryField(null=True)  # JSON of the last one
    running = models.BinaryField(null=True)  # JSON of the present one
    leased_until = models.BigIntegerField(default=0)  # a worker has it until then, at most

    class Meta:
        managed = False
        db_table = "segments_verifyresult"


class StreamTicket(models.Model):
    """When a ticket for a stream was last in use, and by which stream. What it allows is in its sealed text."""

    pk = models.CompositePrimaryKey("project", "id")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    seen_at = models.BigIntegerField()
    holder = models.BigIntegerField(default=0)

    class Meta:
        managed = False
        db_table = "segments_streamticket"
