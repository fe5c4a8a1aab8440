"""The Celery tasks: they only call. What waits are rows; a task that is lost or doubled changes nothing."""

from threading import Event

from celery import shared_task, signals

from delivery import upkeep
from delivery.sending import turn

DELIVER = "delivery.deliver"

_stopping = Event()


@shared_task(name=DELIVER, ignore_result=True)
def deliver() -> None:
    """Serve all destinations until none has anything to do. Rung after commits, and every second by beat.

    It has a worker of its own, so that nothing else makes deliveries wait, and no turn has to make room.
    """
    turn.deliver_some(stopping=_stopping.is_set)


@shared_task(name="delivery.maintain", ignore_result=True)
def maintain() -> None:
    """What has grown too old. Idempotent; hourly."""
    upkeep.keep_up()


@signals.worker_shutting_down.connect
def _stop(**_: object) -> None:
    """What is under way is waited for, and nothing is begun."""
    _stopping.set()
