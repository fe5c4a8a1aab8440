"""The bulk tables of ingestion, as Django sees them. The database side is the SQL of migration 0001.

Every row carries its project, first in every key. Instants are bigint milliseconds, UTC. No database foreign keys.
"""

from django.db import models

from keys.models import Project


class Batch(models.Model):
    """The inbox: one row per accepted request, gone when applied. May live in a database of its own."""

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    batch_id = models.TextField()
    key_id = models.BigIntegerField(null=True)
    dialect = models.TextField()
    n = models.IntegerField()
    received_at = models.BigIntegerField()
    body = models.BinaryField()
    parked = models.BooleanField(default=False)  # could not be applied at all; waits for a person, blocks nobody
    error = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "ingestion_batch"
        verbose_name_plural = "batches"


class AppliedBatch(models.Model):
    """What became of a batch. Written with its events: a second application is a no-op."""

    pk = models.CompositePrimaryKey("project", "batch_id")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    batch_id = models.TextField()
    stored = models.IntegerField()
    duplicates = models.IntegerField()
    rejected = models.IntegerField()
    at = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingestion_appliedbatch"


class Profile(models.Model):
    """A person, or what is known of one. In the database the key is (project, id)."""

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    public_id = models.TextField()
    traits = models.JSONField(default=dict)
    trait_ts = models.JSONField(default=dict)  # {key: [ts, uid]} of the write that won
    merged_into = models.BigIntegerField(null=True)
    identified = models.BooleanField(default=False)  # has a userId
    shard = models.SmallIntegerField()
    first_seen = models.BigIntegerField()
    last_seen = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingestion_profile"


class Alias(models.Model):
    """An external id of a profile."""

    class Kind(models.TextChoices):
        USER = "user"
        ANONYMOUS = "anon"
        SESSION = "session"

    pk = models.CompositePrimaryKey("project", "kind", "external_id")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    kind = models.TextField(choices=Kind)
    external_id = models.TextField()
    profile_id = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingestion_alias"
        verbose_name_plural = "aliases"


class Tombstone(models.Model):
    """An id of somebody erased: what comes late does not revive them."""

    pk = models.CompositePrimaryKey("project", "digest")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    digest = models.BinaryField(max_length=32)
    erased_at = models.BigIntegerField()
    suppressed = models.BooleanField(default=False)  # nothing with this id is taken, whenever it happens

    class Meta:
        managed = False
        db_table = "ingestion_tombstone"


class EventName(models.Model):
    """Event names as small integers, per project."""

    pk = models.CompositePrimaryKey("project", "id")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    id = models.IntegerField()
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "ingestion_eventname"


class Event(models.Model):
    """One stored event. The table is partitioned by month of received_at and has no key of its own: uid is unique
    through DedupeKey."""

    pk = models.CompositePrimaryKey("project", "uid")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    profile_id = models.BigIntegerField(null=True)
    name_id = models.IntegerField()
    ts = models.BigIntegerField()
    received_at = models.BigIntegerField()
    uid = models.BinaryField(max_length=16)
    props = models.JSONField()
    context = models.JSONField(null=True)
    tracked = models.BooleanField(null=True)  # true: it is called identify, and sets no traits; else null

    class Meta:
        managed = False
        db_table = "ingestion_event"


class DedupeKey(models.Model):
    """Which events are known. Its own table: a retry can carry another timestamp, hence another partition."""

    pk = models.CompositePrimaryKey("project", "uid")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    uid = models.BinaryField(max_length=16)
    received_at = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingestion_dedupekey"


class DeadLetter(models.Model):
    """An event that could not be stored, with the reason, its raw text, and what its request said beside its events."""

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    batch_id = models.TextField()
    index = models.IntegerField()  # position in the request
    dialect = models.TextField()
    code = models.TextField()
    detail = models.TextField()
    body = models.BinaryField()
    at = models.BigIntegerField()
    received_at = models.BigIntegerField()
    frame = models.BinaryField()

    class Meta:
        managed = False
        db_table = "ingestion_deadletter"


class StaleProfiles(models.Model):
    """Profiles of one shard that something happened to: written with the events, taken by the evaluator."""

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    shard = models.SmallIntegerField()
    at = models.BigIntegerField()
    items = models.BinaryField()  # JSON list of ingestion.applying.stale.Mark

    class Meta:
        managed = False
        db_table = "ingestion_staleprofiles"


class WriterLane(models.Model):
    """Its row lock makes one writer per project at a time; it also numbers the Applied log."""

    project = models.OneToOneField(Project, models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="+")
    applied_seq = models.BigIntegerField(default=0)
    watched_until = models.BigIntegerField(default=0)  # somebody looks at the live page until then
    people_version = models.BigIntegerField(default=0)  # see ingestion.applying.acquaintances
    judged = models.BooleanField(default=True)  # its turns leave marks, see ingestion.applying.lanes

    class Meta:
        managed = False
        db_table = "ingestion_writerlane"


class Applied(models.Model):
    """The log of what was applied, one row per apply transaction, written only while somebody reads it."""

    pk = models.CompositePrimaryKey("project", "seq")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    seq = models.BigIntegerField()
    at = models.BigIntegerField()
    events = models.JSONField()

    class Meta:
        managed = False
        db_table = "ingestion_applied"


class EventHour(models.Model):
    """How many events of a name came in an hour. hour: its first millisecond; name_id 0: refused without a name."""

    pk = models.CompositePrimaryKey("project", "hour", "name_id")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    hour = models.BigIntegerField()
    name_id = models.IntegerField()
    stored = models.BigIntegerField()
    duplicates = models.BigIntegerField()
    rejected = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingestion_eventhour"


class EventMinute(models.Model):
    """How many events came in a minute. minute: its first millisecond."""

    pk = models.CompositePrimaryKey("project", "minute")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    minute = models.BigIntegerField()
    stored = models.BigIntegerField()
    duplicates = models.BigIntegerField()
    rejected = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingestion_eventminute"


class ProfileActive(models.Model):
    """When a profile was active. hour: the latest, counted from 1970; bit n of `hours`, `days`: also n earlier."""

    pk = models.CompositePrimaryKey("project", "profile_id")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    profile_id = models.BigIntegerField()
    hour = models.BigIntegerField()
    hours = models.BigIntegerField()
    days = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingestion_profileactive"


class ActiveHour(models.Model):
    """How many profiles were active in an hour (its first millisecond), for how many of them it was the first time that
    UTC day, and for how many it is the latest hour of all."""

    pk = models.CompositePrimaryKey("project", "hour")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    hour = models.BigIntegerField()
    active = models.BigIntegerField()
    first_of_day = models.BigIntegerField()
    newest = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingestion_activehour"


class Import(models.Model):
    """A file of events of the past. run: of the file and its map; position: records of it that are in the inbox or were
    refused; finished_at: since when everybody is being judged by it, ms."""

    pk = models.CompositePrimaryKey("project", "run")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    run = models.TextField()
    name = models.TextField()
    position = models.BigIntegerField()
    rejected = models.BigIntegerField()
    started_at = models.BigIntegerField()
    finished_at = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "ingestion_import"


class Heartbeat(models.Model):
    """When a kind of process last did its work."""

    process = models.TextField(primary_key=True)
    at = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingestion_heartbeat"
