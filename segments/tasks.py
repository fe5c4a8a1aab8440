"""The Celery tasks: they only call. The rows are the messages; a task that is lost or doubled changes nothing."""

import time

from celery import shared_task, signals

from ingestion import heartbeat, partitions
from ingestion.tasks import apply_some
from segments import backfill as pages
from segments import publisher, upkeep
from segments.claim import marks_wait
from segments.evaluator import evaluate_some
from segments.verify import results

BUDGET = 2.0  # seconds a task works before it makes room: a stop never waits longer
REST = 0.5  # of the time that a round took: what gathers meanwhile shares the fixed cost of the next one's two turns
LONGEST_REST = 0.006  # seconds
MANY = 150  # batches, profiles and timers in a round that leave no time to rest
YIELD = 0.02  # seconds between two pages of a backfill while live work waits: its lane is free only there


@shared_task(name="segments.drain", ignore_result=True)
def drain() -> None:
    """Apply and evaluate until both find nothing, each tried once more after its locks are released.

    Without the rests turns come as fast as they can, each for the handful that came during the one before, and their
    fixed costs fill the processors at any rate of events.
    """
    began = time.monotonic()
    deadline = began + BUDGET
    while done := apply_some() + evaluate_some():
        now = time.monotonic()
        if now > deadline:
            publisher.wake(publisher.DRAIN)
            return
        if done < MANY:
            time.sleep(min((now - began) * REST, LONGEST_REST))
        began = time.monotonic()


@shared_task(name="segments.sweep", ignore_result=True)
def sweep() -> None:
    """The safety net, once a second: whatever a lost nudge left lying."""
    heartbeat.beat(heartbeat.WORKER)
    partitions.learn()
    drain()
    if pages.waits():
        publisher.wake(publisher.BACKFILL)


@shared_task(name="segments.backfill", ignore_result=True)
def backfill() -> None:
    """Pages until none is left. Live workers pass over the lane that a page holds: who waits there is seen to next."""
    deadline = time.monotonic() + BUDGET
    while pages.backfill_some():
        if marks_wait():
            publisher.wake(publisher.DRAIN)
            time.sleep(YIELD)
        if time.monotonic() > deadline:
            publisher.wake(publisher.BACKFILL)
            return


@shared_task(name="segments.maintain", ignore_result=True)
def maintain() -> None:
    """What has grown too old. Idempotent; hourly."""
    upkeep.prune_log()
    upkeep.follow_retentions()
    upkeep.forget_warnings()
    upkeep.forget_hours()
    upkeep.drop_tickets()


@shared_task(name="segments.verify", ignore_result=True)
def verify() -> None:
    """A few pages of the project that was verified longest ago, if that is wanted; once a minute."""
    results.verify_some()


@signals.worker_process_init.connect
def _publish(**_: object) -> None:
    """A task that has to make room asks for its own continuation."""
    publisher.start(timers=False)
