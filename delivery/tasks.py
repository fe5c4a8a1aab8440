"""The Celery tasks: they only call. What waits are rows; a task that is lost or doubled changes nothing."""

from celery import shared_task

from delivery import turn, upkeep
from segments import publisher

DELIVER = "delivery.deliver"


@shared_task(name=DELIVER, ignore_result=True)
def deliver() -> None:
    """Serve all destinations that have something to do. Rung after commits, and every second by beat."""
    if turn.deliver_some():
        publisher.wake(DELIVER)


@shared_task(name="delivery.maintain", ignore_result=True)
def maintain() -> None:
    """What has grown too old. Idempotent; hourly."""
    upkeep.keep_up()
