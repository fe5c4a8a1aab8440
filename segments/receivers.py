"""What segments does when something happens below it."""

from typing import Any

from django.db import connection
from django.db.models.signals import post_save
from django.dispatch import receiver

from ingestion.applying import lanes
from ingestion.signals import accepted
from keys.models import Project
from segments import publisher, rejudging
from segments.models import Persona

OPEN = """
with lanes as (
    insert into segments_lane (project_id, shard) select %(project)s, generate_series(0, %(shards)s - 1)
    on conflict do nothing)
insert into segments_head (project_id, retention) values (%(project)s, %(retention)s) on conflict do nothing
"""


@receiver(accepted, dispatch_uid="segments.wake")
def wake(**_: Any) -> None:
    """New batches lie in the inbox: a worker, please."""
    publisher.wake()


@receiver(post_save, sender=Project, dispatch_uid="segments.projects")
def keep_up(instance: Project, created: bool, **_: Any) -> None:
    """A project has one lane a shard and one head, from its first moment; its rules follow its retention."""
    retention = instance.retention if created else None  # nobody has been judged by another one
    with connection.cursor() as cursor:
        cursor.execute(OPEN, {"project": instance.pk, "shards": instance.shards, "retention": retention})
    if not created:
        rejudging.follow_retention(instance)


@receiver(post_save, sender=Persona, dispatch_uid="segments.judged")
def judge(instance: Persona, created: bool, **_: Any) -> None:
    """With its first persona, a project's events leave marks."""
    if created:
        lanes.judge(instance.project_id)
