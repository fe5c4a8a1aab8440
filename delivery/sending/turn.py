"""A turn: serve every destination that has something to do, side by side, until none has.

The database is spoken to here, on one thread; the requests are on the client's own. One wave a destination is under
way at a time. A slow receiver holds up nobody: its wave ends by itself, and the next one comes seconds later.

When the database goes away in the middle, the next turn goes on with the waves that are under way: what they have sent
is written down late and sent once.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from functools import lru_cache, partial

import msgspec
from django.conf import settings
from django.db import InterfaceError, OperationalError

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


RENEW = queue.LEASE_MS / 4_000  # seconds
KEPT = 60.0  # seconds for which a wave is remembered that could not be written down
LOST = (OperationalError, InterfaceError)


class Going(msgspec.Struct):
    """A wave that is being sent. renewed: when its lease was; like `started`, on this machine's clock."""

    destination: Destination
    claim: Claim
    wave: Wave
    started: float
    renewed: float


def client() -> Outbound:
    """This process's way out."""
    return _way_out(settings.PERSONA_ALLOW_PRIVATE_DESTINATIONS, settings.PERSONA_DELIVERY_SECONDS)


@lru_cache(maxsize=4)
def _way_out(allow_private: bool, seconds: float) -> Outbound:
    return Outbound(allow_private=allow_private, seconds=seconds)


class UnderWay(msgspec.Struct):
    """going: waves that are being sent; owed: claims with which nothing was begun."""

    going: dict[Future[list[Result]], Going] = {}
    owed: list[Claim] = []


_left: list[UnderWay] = []  # by turns of this process that failed


def deliver_some(*, period: float = PERIOD, stopping: Callable[[], bool] = lambda: False) -> None:
    """Serve until nothing is due, or `stopping`; what is under way then is waited for.

    Who is slow, or has nothing that can be done now, is looked at again after `period` seconds at the earliest.
    """
    ours = _left.pop() if _left else UnderWay()
    try:
        _take_up(ours)
        _serve(ours, period, stopping)
    except Exception:
        _left.append(ours)
        raise


def _take_up(ours: UnderWay) -> None:
    """What an earlier turn has left. What is too old is sent again by whoever claims it."""
    oldest = time.monotonic() - KEPT
    for future in [future for future, one in ours.going.items() if one.started < oldest]:
        del ours.going[future]
    while ours.owed:
        queue.release(ours.owed[-1])
        ours.owed.pop()


def _serve(ours: UnderWay, period: float, stopping: Callable[[], bool]) -> None:
    going, done_with = ours.going, set[int]()
    until = time.monotonic() + period
    while True:
        if time.monotonic() > until:
            done_with.clear()
            until = time.monotonic() + period
        _renew(going)
        if not stopping():
            _begin(ours, done_with)
        if not going:
            return
        finished, _ = wait(going, timeout=LOOK, return_when=FIRST_COMPLETED)
        for future in finished:
            one = going.pop(future)
            try:
                with _alone(one.destination):
                    _end(one, future.result())
            except LOST:
                going[future] = one
                raise
            if time.monotonic() - one.started > SLOW:
                done_with.add(one.destination.pk)


def _renew(going: Mapping[Future[list[Result]], Going]) -> None:
    now = time.monotonic()
    if any(now - one.renewed > RENEW for one in going.values()):
        until = queue.renew(one.claim for one in going.values())
        for one in going.values():
            one.renewed = now
            one.claim = msgspec.structs.replace(one.claim, until=until.get(one.destination.pk, one.claim.until))


def _begin(ours: UnderWay, done_with: set[int]) -> None:
    going = ours.going
    busy = [*done_with, *(one.destination.pk for one in going.values())]
    room = FAILING - sum(_is_failing(one.claim) for one in going.values())
    for due in queue.due(busy=busy, limit=DESTINATIONS - len(going)):
        project, number = due.project, due.destination
        if due.failing:
            if room <= 0:
                break
            room -= 1
        claim = queue.claim(project, number)
        if claim is None:
            done_with.add(number)
            continue
        ours.owed.append(claim)
        found = Destination.objects.select_related("project").filter(project=project, pk=number).first()
        started = None
        with _alone(found):
            started = None if found is None else _start(found, claim)
            if started is None:
                queue.release(claim)
        if started is None:
            done_with.add(number)
        else:
            going[client().run(partial(wave.send, started.wave))] = started
        ours.owed.pop()


@contextmanager
def _alone(destination: Destination | None) -> Iterator[None]:
    """What goes wrong with one of them is no other's trouble: it comes again when its lease is over. Raises LOST."""
    try:
        yield
    except LOST:
        raise
    except Exception:
        log.exception("destination.failed", destination=destination and destination.public_id)


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
    now = time.monotonic()
    return Going(destination, claim, prepared, started=now, renewed=now)


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
