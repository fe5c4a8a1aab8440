"""Batches that could not be applied as a whole, tried again by a person. Audited."""

from ingestion.applying import waiting
from keys.audit import Actor, record
from keys.models import Project


def retry(*, project: Project, row: int, actor: Actor) -> bool:
    """Let the batch with this row id be applied again; False when it is not (or no longer) parked."""
    done = waiting.unpark(project.pk, row)
    if done:
        record(project=project, actor=actor, action="batch.retried", target=str(row))
    return done
