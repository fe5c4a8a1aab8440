"""The Celery task of the installation as a whole."""

from celery import shared_task

from persona import upkeep


@shared_task(name="persona.maintain", ignore_result=True)
def maintain() -> None:
    """What has expired. Idempotent; hourly."""
    upkeep.forget_expired()
