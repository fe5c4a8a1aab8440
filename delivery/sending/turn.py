"""A turn: serve every destination that has something to do, side by side, until none has.

The database is spoken to here, on one thread; the requests are on the client's own. One wave a destination is under
way at a time. A slow receiver holds up nobody: its wave ends by itself, and the next one comes seconds later.
"""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import lru_cache, partial

import msgspec
from django.conf import settings

from delivery.models import Destination
from delivery.sending import forwarding, intake, queue, schedule, settle, wave
from delivery.sending.kinds import batch_of
from delivery.sending.queue import Claim
from delivery.sending.wave import Result, Wave
from keys.sealed import Unreadable
from persona.lib.log import get_logger
from persona.lib.outbound import Outbound

log = get_logger(__name__)

PERIOD = 5.0  # seconds
DESTINATIONS = 64  # under way at once
FAILING = 32  # of them, those whose receivers did not work lately: the others find room beside any number of these
SLOW = 1.0  # seconds of a wave
LOOK = 0.05  # seconds between two looks for work while requests are under way


class Going(msgspec.Struct, frozen=True):
    """A wave that is being sent."""

    destination: Destination
    claim: Claim
    wave: Wave
    started: float


def client() -> Outbound:
    """This process's way out."""
    return _way_out(settings.PERSONA_ALLOW_PRIVATE_DESTINATIONS, settings.PERSONA_DELIVERY_SECONDS)


@lru_cache(maxsize=4)
def _way_out(allow_private: bool, seconds: float) -> Outbound:
    return Outbound(allow_private=allow_private, seconds=seconds)


def deliver_some(*, period: float = PERIOD, stopping: Callable[[], bool] = lambda: False) -> None:
    """Serve until nothing is due, or `stopping`; what is under way then is waited for.

    Who is slow, or has nothing that can be done now, is looked at again after `period` seconds at the earliest.
    """
    going: dict[Future[list[Result]], Going] = {}
    done_with: set[int] = set()
    until = time.monotonic() + period
    while True:
        if time.monotonic() > until:
            done_with.clear()
            until = time.monotonic() + period
        if not stopping():
            _begin(going, done_with)
        if not going:
            return
        finished, _ = wait(going, timeout=LOOK, return_when=FIRST_COMPLETED)
        for future in finished:
            one = going.pop(future)
            _end(one, future.result())
            if time.monotonic() - one.started > SLOW:
                done_with.add(one.destination.pk)


def _begin(going: dict[Future[list[Result]], Going], done_with: set[int]) -> None:
    busy = [*done_with, *(one.destination.pk for one in going.values())]
    room = FAILING - sum(_is_failing(one.claim) for one in going.values())
    for due in queue.due(busy=busy, limit=DESTINATIONS - len(going)):
        project, number = due.project, due.destination
        if due.failing:
            if room <= 0:
                break
            room -= 1
        claim = queue.claim(project, number)
        found = Destination.objects.select_related("project").filter(project=project, pk=number).first()
        if claim is None or found is None:
            done_with.add(number)
            continue
        started = _start(found, claim)
        if started is None:
            queue.release(project, number)
            done_with.add(number)
        else:
            going[client().run(partial(wave.send, started.wave))] = started


def _start(destination: Destination, claim: Claim) -> Going | None:
    """None: nothing can be sent now."""
    waiting = queue.waiting(destination.project_id, destination.pk, claim.now)
    if len(waiting) < queue.WAVE:
        if _take_in(destination, claim):
            waiting = queue.waiting(destination.project_id, destination.pk, queue.clock())
        elif not waiting:
            return None
    try:
        prepared = wave.prepare(destination, waiting, probe=_is_failing(claim))
    except Unreadable as error:
        settle.pause(destination, str(error))
        return None
    return Going(destination, claim, prepared, time.monotonic())


def _is_failing(claim: Claim) -> bool:
    return claim.failures >= schedule.FAILURES_TO_REST


def _take_in(destination: Destination, claim: Claim) -> bool:
    if destination.forwards:
        return forwarding.take_in(destination, claim.seq, claim.now, batch=batch_of(destination))
    return intake.take_in(destination, claim.seq, claim.now)


def _end(one: Going, results: list[Result]) -> None:
    settle.settle(one.destination, one.claim, one.wave, results)
    failed = sum(not settle.is_well(result) for result in results)
    if results:
        log.info(
            "destination.served",
            project=one.destination.project_id,
            destination=one.destination.public_id,
            requests=len(results),
            failed=failed,
        )
