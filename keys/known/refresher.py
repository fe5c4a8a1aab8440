"""The ring's own thread: reads all remembered keys anew once a second, and others for callers that must not block."""

import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from keys import refusals
from keys.known.memory import TRUST_SECONDS, Memory
from keys.known.sightings import Sightings
from keys.principal import Line, Principal
from keys.refusals import refusal
from keys.tokens import Token
from persona.lib.log import get_logger
from persona.lib.problems import Problem

log = get_logger(__name__)

REFRESH_SECONDS = 1.0
RETRY_SECONDS = 0.1  # between attempts while the database is away
QUEUE = 10_000

Waiting = tuple[Token, "Future[Principal]"]


class Refresher:
    """Belongs to the process it was made in; after a fork the ring makes another."""

    def __init__(
        self,
        memory: Memory,
        sightings: Sightings,
        *,
        line: Callable[[], Line],
        clock: Callable[[], float],
        every: float = REFRESH_SECONDS,
    ) -> None:
        self.pid = os.getpid()
        self._memory = memory
        self._sightings = sightings
        self._line = line
        self._clock = clock
        self._every = every
        self._work = threading.Condition()
        self._pending: list[Waiting] = []
        self._thread: threading.Thread | None = None
        self._asking_since = math.inf
        self._away = False

    def start(self) -> None:
        """Run, if it does not yet."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            return
        with self._work:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="keyring", daemon=True)
                self._thread.start()

    def ask(self, token: Token) -> "Future[Principal]":
        """Raises Problem 503 when the database does not answer or too many wait already."""
        self.start()
        future: Future[Principal] = Future()
        with self._work:
            if self._clock() - self._asking_since > TRUST_SECONDS or len(self._pending) >= QUEUE:
                raise refusal(refusals.UNAVAILABLE)
            self._pending.append((token, future))
            self._work.notify_all()
        return future

    def stop(self) -> None:
        """End the thread and its connection. Who still waits is told 503."""
        with self._work:
            thread, self._thread = self._thread, None
            self._work.notify_all()
        if thread is not None and thread.is_alive():
            thread.join()
        _settle(self._taken(), lambda _: refusal(refusals.UNAVAILABLE))

    def _run(self) -> None:
        me, line, due = threading.current_thread(), self._line(), self._clock()
        try:
            while self._thread is me:
                waiting = self._wait(due - self._clock())
                started = self._asking_since = self._clock()
                refresh = started >= due
                answered = self._turn(line, waiting, refresh=refresh)
                self._asking_since = math.inf
                if refresh or not answered:
                    due = started + (self._every if answered else RETRY_SECONDS)
        finally:
            line.close()

    def _wait(self, seconds: float) -> list[Waiting]:
        """Whoever came within `seconds`; while the database is away they are gathered for the next attempt."""
        with self._work:
            if seconds > 0 and (self._away or not self._pending):
                self._work.wait_for(lambda: self._thread is None or (self._pending and not self._away), seconds)
        return self._taken()

    def _taken(self) -> list[Waiting]:
        with self._work:
            pending, self._pending = self._pending, []
        return [(token, future) for token, future in pending if future.set_running_or_notify_cancel()]

    def _turn(self, line: Line, waiting: Sequence[Waiting], *, refresh: bool) -> bool:
        """One query for all of them. False: the database gave no answer."""
        try:
            entries = self._memory.current() if refresh else []
            lookups = [token.lookup for token, _ in waiting] + [entry.found.lookup for entry in entries]
            if lookups:
                started = self._clock()
                snapshot = line.read(lookups)
                self._memory.confirm(entries, snapshot, started)
                _settle(waiting, lambda token: self._memory.admit(token, snapshot, started))
            if refresh:
                self._sightings.write(line)
        except Exception as error:  # whatever it is, the thread lives on and nobody waits for ever
            _settle(waiting, lambda _: refusal(refusals.UNAVAILABLE))
            self._note(away=True, error=f"{type(error).__name__}: {error}".strip())
            return False
        if lookups:
            self._note(away=False)
        return not self._away

    def _note(self, *, away: bool, error: str = "") -> None:
        """Log the change, not every attempt."""
        if away and not self._away:
            log.error("keys.database_away", error=error)
        elif self._away and not away:
            log.info("keys.database_back")
        self._away = away


def _settle(waiting: Sequence[Waiting], answer: Callable[[Token], Principal | Problem]) -> None:
    """Give everyone who still waits their principal or their problem."""
    for token, future in waiting:
        if future.done():
            continue
        try:
            outcome = answer(token)
        except Problem as problem:
            outcome = problem
        if isinstance(outcome, Problem):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
