"""A child process of the supervisor: started in a session of its own, restarted with back-off, never left behind."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from persona.running.embedded import CannotStart, Postgres
from persona.running.starting import NotYet, Process, Start

SETTLED_SECONDS = 30.0  # a child that lived this long starts again with a fresh back-off
SPARED = 5  # ends before that, of a part that did its work, after which it comes back at once
SHORTEST_DELAY, LONGEST_DELAY = 0.1, 15.0
DOUBLINGS = 8  # from the shortest past the longest


class Part(Protocol):
    """What the supervisor keeps alive."""

    name: str

    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def ended(self) -> int | None: ...
    def is_ready(self) -> bool: ...


class Child:
    """One of our own programs. `ready(child)` says whether it does its work yet."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        start: Start,
        env: Mapping[str, str],
        ready: Callable[["Child"], bool],
    ) -> None:
        self.name = name
        self.command = list(command)
        self.env = dict(env)
        self._start = start
        self._ready = ready
        self._process: Process | None = None
        self._seen_ready = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        self._seen_ready = False
        self._process = self._start(self.command, env=self.env)

    def ended(self) -> int | None:
        """The exit code once it has ended, else None."""
        code = self._process.poll() if self._process else None
        if code is not None:
            self._kill_group()  # what is left of it: a prefork child, say
            self._process = None
        return code

    def is_ready(self) -> bool:
        self._seen_ready = self._seen_ready or (self._process is not None and self._ready(self))
        return self._seen_ready

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask_to_stop(self) -> None:
        if self._process and self.alive:
            self._process.terminate()

    def kill(self) -> None:
        """Whatever is left of it and its own children."""
        if self._process:
            self._kill_group()
            self._process.wait()

    def _kill_group(self) -> None:
        assert self._process is not None  # noqa: S101 - both callers have looked
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # nobody is left in the group


class Database:
    """The embedded PostgreSQL, as a part like the others."""

    name = "postgres"

    def __init__(self, server: Postgres) -> None:
        self._server = server

    @property
    def pid(self) -> int | None:
        return self._server.process.pid if self._server.process else None

    def start(self) -> None:
        self._server.start()

    def ended(self) -> int | None:
        return self._server.process.poll() if self._server.process else None

    def is_ready(self) -> bool:
        return True  # start() returns only when it answers


class Kept:
    """A part and its back-off."""

    def __init__(
        self,
        part: Part,
        say: Callable[[str], None],
        *,
        running: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.part = part
        self._say = say
        self._clock = clock
        self._ends = 0  # one soon after the other
        self._worked = False  # since its last start
        self._started = clock()
        self._due: float | None = None if running else 0.0  # when to start it; None while it runs

    @property
    def ready(self) -> bool:
        return self._due is None and self._worked

    def look(self) -> bool:
        """Notice its end, start it when that is due. True when it has just been started."""
        now = self._clock()
        if self._due is None:
            code = self.part.ended()
            if code is not None:
                self._plan(now, f"ended ({_how(code)})")
            else:
                self._worked = self._worked or self.part.is_ready()
            return False
        if now < self._due:
            return False
        self._started = now
        self._worked = False
        self._due = None
        try:
            self.part.start()
        except NotYet:
            self._due = now + SHORTEST_DELAY
            return False
        except (CannotStart, OSError) as error:
            self._plan(now, f"did not start: {error}")
            return False
        return True

    def _plan(self, now: float, what: str) -> None:
        self._ends = 0 if now - self._started > SETTLED_SECONDS else self._ends + 1
        doublings = max(self._ends - SPARED, 0) if self._worked else min(self._ends, DOUBLINGS)
        delay = min(SHORTEST_DELAY * 2 ** min(doublings, DOUBLINGS), LONGEST_DELAY)
        self._due = now + delay
        self._say(f"{self.part.name} {what}; starting it again in {delay:.1f} s")


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
