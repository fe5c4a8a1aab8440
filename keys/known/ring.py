"""Who does this key speak for? Answered from memory, and kept true by reading all remembered keys once a second.

A remembered key is trusted for 2 seconds after the start of the query that last confirmed it. So a revocation, made by
whatever process or by hand in SQL, works everywhere within 2 seconds, and a database that is away longer fails closed.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import django.db
import psycopg

from keys import refusals, tokens
from keys.known.memory import CAPACITY, Memory
from keys.known.refresher import REFRESH_SECONDS, Refresher
from keys.known.sightings import Sightings, Way
from keys.principal import Line, Principal, Read, read_here
from keys.refusals import refusal
from keys.tokens import Token
from persona.lib.log import get_logger
from persona.lib.problems import Problem

log = get_logger(__name__)


class KeyRing:
    """One per process. `read` asks on the caller's thread; `line` makes the connection of the ring's own thread.

    every: seconds between two confirmations of all remembered keys.
    """

    def __init__(
        self,
        *,
        read: Read = read_here,
        line: Callable[[], Line] = Line,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = CAPACITY,
        every: float = REFRESH_SECONDS,
    ) -> None:
        self._read = read
        self._line = line
        self._clock = clock
        self._capacity = capacity
        self._every = every
        self._begin()

    def _begin(self) -> None:
        self._memory = Memory(clock=self._clock, capacity=self._capacity)
        self._sightings = Sightings()
        self._refresher = Refresher(
            self._memory, self._sightings, line=self._line, clock=self._clock, every=self._every
        )

    def _running(self) -> Refresher:
        self._after_a_fork()
        self._refresher.start()
        return self._refresher

    def _after_a_fork(self) -> None:
        """It copies no thread, but perhaps a held lock."""
        if self._refresher.pid != os.getpid():
            self._begin()

    def cached(self, key: str | Token) -> Principal | None:
        """From memory alone; None when the key is unknown here, or was not confirmed lately."""
        if isinstance(key, Token):
            return self._memory.trusted(key.digest, key.key_id)
        if len(key) != tokens.LENGTH:
            return None
        return self._memory.trusted(tokens.digest(key))

    def resolve(self, key: str | Token) -> Principal:
        """From memory, else by one query on this thread. Raises Problem 401 or 503."""
        token = _parsed(key)
        self._running()
        principal = self._memory.known(token)
        if principal is not None:
            return principal
        started = self._clock()
        try:
            snapshot = self._read([token.lookup])
        except (psycopg.Error, django.db.Error) as error:
            log.warning("keys.unavailable", error=type(error).__name__)
            raise refusal(refusals.UNAVAILABLE) from error
        return self._memory.admit(token, snapshot, started)

    def lookup(self, key: str | Token) -> "Future[Principal]":
        """The same by the ring's own thread, for callers that must not block. The exception is a Problem."""
        future: Future[Principal] = Future()
        try:
            token = _parsed(key)
            refresher = self._running()
            principal = self._memory.known(token)
            if principal is None:
                return refresher.ask(token)
            future.set_result(principal)
        except Problem as problem:
            future.set_exception(problem)
        return future

    def held(self, key_id: int) -> Principal | None:
        """Whom an open stream of this key speaks for. From memory alone; None within 2 s of a revocation or expiry.

        While the database is away it stays for 4 minutes: nothing can be read then that was not readable before.
        """
        return self._memory.held(key_id)

    def valid(self, key_id: int) -> bool:
        """May an open stream of this key go on?"""
        return self.held(key_id) is not None

    def note(self, principal: Principal, way: Way, headers: Mapping[str, str]) -> None:
        """The key was used, and may do what it did. Within a second everybody can see so."""
        self._sightings.note(principal, way, headers)

    def forget(self, key_id: int) -> None:
        """The key changed: whoever uses it next reads it again."""
        self._after_a_fork()
        self._memory.forget(key_id)

    def doubt(self, project_id: int) -> None:
        """The settings of the project changed: whoever uses one of its keys next reads them again."""
        self._memory.doubt(project_id)

    def remembered(self) -> int:
        """How many keys and refusals are in memory."""
        return len(self._memory)

    def close(self) -> None:
        """Stop the thread and its connection; the next use starts them again."""
        if self._refresher.pid == os.getpid():
            self._refresher.stop()


def _parsed(key: str | Token) -> Token:
    """What cannot be a key never reaches the database."""
    if isinstance(key, Token):
        return key
    token = tokens.parse(key)
    if token is None:
        raise refusal(refusals.INVALID)
    return token
