"""Where a project's changes and events go (configuration), how far each has got, and every delivery (bulk tables)."""

from functools import partial
from typing import Annotated

import msgspec
from django.db import models

from keys.models import Project
from persona.lib import ids

BY_HAND = "Paused by hand."  # why a destination is paused that did not pause itself


class DestinationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a destination may set for itself. batch: how many changes or events one request carries at most."""

    batch: Annotated[int, msgspec.Meta(ge=1, le=2_000)] | None = None


class Destination(models.Model):
    """A webhook, or an analytics product that the project's events are forwarded to."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook"
        AMPLITUDE = "amplitude"
        MIXPANEL = "mixpanel"

    class Status(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"

    public_id = models.CharField(max_length=24, unique=True, default=partial(ids.opaque, "d_", 16), editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="destinations")
    kind = models.CharField(max_length=9, choices=Kind)
    name = models.CharField(max_length=200)
    url = models.CharField(max_length=2_000)
    personas = models.JSONField(default=list, blank=True)  # slugs; empty: all
    ops = models.JSONField(default=list, blank=True)  # enter, leave; empty: both
    settings = models.JSONField(default=dict, blank=True)
    secret = models.TextField()  # sealed: a webhook's signing secret, or the key at the analytics product
    former_secret = models.TextField(blank=True, default="")  # sealed; signs beside the other until `former_until`
    former_until = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=6, choices=Status, default=Status.ACTIVE)
    paused_because = models.TextField(blank=True, default="")
    version = models.PositiveIntegerField(default=1)  # its ETag
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            # which projects have somebody to tell: asked at every change that is logged
            models.Index(fields=["project"], condition=models.Q(status="active"), name="delivery_destination_active")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def forwards(self) -> bool:
        """It gets the project's events, not its changes."""
        return self.kind != self.Kind.WEBHOOK

    @property
    def options(self) -> DestinationSettings:
        return msgspec.convert(self.settings, DestinationSettings)


class Cursor(models.Model):
    """How far a destination has got in its log, who works on it, and how its receiver has been doing."""

    pk = models.CompositePrimaryKey("project", "destination_id")
    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    destination_id = models.BigIntegerField()
    seq = models.BigIntegerField()
    leased_until = models.BigIntegerField(default=0)  # a worker has it; when the worker dies, until then
    failures = models.IntegerField(default=0)  # of the receiver as a whole, in a row
    failing_since = models.BigIntegerField(null=True)  # nothing has got through since
    resting_until = models.BigIntegerField(default=0)
    last_error = models.TextField(default="")
    lost_from = models.BigIntegerField(null=True)  # the last range that was pruned before it was delivered
    lost_to = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "delivery_cursor"


class Attempt(models.Model):
    """One delivery: a change, a batch of events, or a notice about the delivery itself; and every try at it.

    While it waits, all deliveries of its profile to this destination wait behind it, with the same `next_at`.
    """

    class Kind(models.TextChoices):
        CHANGE = "change"
        EVENTS = "events"
        GAP = "gap"

    class Status(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        DEAD = "dead"

    project = models.ForeignKey(Project, models.DO_NOTHING, db_constraint=False, related_name="+")
    destination_id = models.BigIntegerField()
    kind = models.TextField(choices=Kind)
    status = models.TextField(choices=Status)
    first_seq = models.BigIntegerField()
    seq = models.BigIntegerField()  # of the last row of the log that is in it
    n = models.IntegerField()  # changes or events
    profile_id = models.BigIntegerField(null=True)
    persona_id = models.BigIntegerField(null=True)
    op = models.TextField(null=True)  # noqa: DJ001 - only changes have one
    body = models.TextField()
    tries = models.JSONField(default=list)  # the newest, oldest first: when, answer, how long
    tried = models.IntegerField(default=0)
    first_tried_at = models.BigIntegerField(null=True)
    next_at = models.BigIntegerField()
    created_at = models.BigIntegerField()
    settled_at = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "delivery_attempt"
