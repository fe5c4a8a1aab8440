"""The durable inbox: one row for each accepted request, many requests to a commit.

All requests of a process share one connection. A task of the event loop takes what waits, writes it with one statement,
and when that is committed all its waiters go on. While it commits, the next ones gather.
"""

import asyncio
import os
import threading
import time
from collections.abc import Sequence

import psycopg
from django.conf import settings
from prometheus_client import Counter, Histogram

from ingestion.accepting.inbox_line import DATA, Line, Row, Sent, encoded
from ingestion.signals import accepted
from persona.lib.futures import Promise, pending
from persona.lib.log import get_logger
from persona.lib.looping import beside
from persona.lib.problems import Problem

log = get_logger(__name__)

MOST_ROWS = 20_000  # waiting at once: more than this takes longer to commit than a client waits
FLUSH_BYTES = 8 * 1024 * 1024  # of bodies in one statement

FLUSHES = Histogram(
    "persona_inbox_commit_seconds",
    "How long a commit of the inbox took.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
COMMITTED = Counter("persona_inbox_committed_bytes", "Bytes of the bodies that were committed to the inbox.")

BATCHES = Counter("persona_ingest_batches", "Batches that were committed to the inbox.", ["wire"])
EVENTS = Counter("persona_ingest_events", "Events in them, those with something wrong included.", ["wire"])

Waiter = tuple[Row, "Promise[None]"]


def busy() -> Problem:
    return Problem(503, "ingest.busy", "More is coming in than can be stored right now. Try again.", retry_after=1)


def unavailable() -> Problem:
    detail = "The inbox cannot be written right now; nothing of this batch is acknowledged. Try again."
    return Problem(503, "ingest.unavailable", detail, retry_after=2)


def stopping() -> Problem:
    return Problem(503, "ingest.stopping", "This server is about to stop. Try again.", retry_after=1)


class Inbox:
    """One per process, on the event loop that it was started with; else on one of its own in a thread, made for the
    first row, and again in a forked child."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Waiter] = []
        self._bytes = 0  # of all rows whose waiters wait, those being written included
        self._rows = 0
        self._stopped = False
        self._away = False
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line = Line()
        self._is_own = False  # the loop
        self._writer: asyncio.Task[None] | None = None
        self._in_hand: list[Waiter] = []  # of the writer
        self._at_rest = threading.Event()  # there is no writer, nor will there be one before the next row
        self._at_rest.set()
        self._left = threading.Event()  # the loop, after a stop

    def put(self, row: Row) -> "Promise[None]":
        """Resolved on the inbox's loop when `row` is committed. Raises Problem 503 at once when too much waits; or the
        promise does, when the database is away."""
        if self._pid != os.getpid():
            self._begin()  # a fork takes neither thread nor connection along, but perhaps a held lock
        promise: Promise[None] = pending()
        size = len(row.body)
        with self._lock:
            if self._stopped:
                raise stopping()
            if self._bytes + size > settings.PERSONA_INBOX_QUEUE_BYTES or self._rows >= MOST_ROWS:
                raise busy()
            self._bytes += size
            self._rows += 1
            self._waiting.append((row, promise))
            if self._at_rest.is_set():
                self._at_rest.clear()
                self._home().call_soon_threadsafe(self._rouse)
        return promise

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Take rows (again), and write them on `loop`, unless they are written somewhere already."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            self._stopped = False
            if self._loop is None:
                self._loop, self._is_own = loop, False

    def stop(self, timeout: float = 10.0) -> None:
        """Write what waits and take no more; what nobody has begun to write after `timeout` seconds is refused.

        It waits for the inbox's loop, so it must not be called there.
        """
        with self._lock:
            self._stopped = True
        written = self._at_rest.wait(timeout)
        self._settle(self._taken(everything=True), stopping())
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                return
            self._left.clear()
            self._loop.call_soon_threadsafe(self._leave)
        if written:
            self._left.wait(timeout)

    def _home(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._loop.is_closed():
            self._loop, self._is_own, self._line = beside("inbox"), True, Line()
        return self._loop

    def _leave(self) -> None:
        """On the loop: close the connection if it was stopped, and all is written."""
        with self._lock:
            if not (self._stopped and self._at_rest.is_set()):
                return
            loop, self._loop = self._loop, None
            self._line.close()
        if self._is_own and loop is not None:
            loop.stop()
        self._left.set()

    def _rouse(self) -> None:
        self._writer = asyncio.get_running_loop().create_task(self._write_on())

    async def _write_on(self) -> None:
        """Write until nothing waits. Whatever happens: nobody is left waiting."""
        try:
            await self._write()
        except Exception:
            log.exception("inbox.broken", rows=len(self._in_hand))
        finally:
            self._settle([waiter for waiter in self._in_hand if not waiter[1].done()], unavailable())
            self._rest()
            self._leave()

    async def _write(self) -> None:
        """The next rows are sent before those just committed are answered: so PostgreSQL works meanwhile."""
        written: Sequence[Waiter] = ()
        while written or self._waiting:
            waiters = self._taken()
            self._in_hand = [*written, *waiters]
            rows, began = encoded([row for row, _ in waiters]), time.perf_counter()
            sent = self._line.send(rows) if waiters else None
            self._committed(written)
            written = await self._stored(waiters, rows, sent)
            if written:
                FLUSHES.observe(time.perf_counter() - began)
            self._in_hand = [*written]

    def _rest(self) -> None:
        """Until the next row. One that has come since the last look is written first."""
        with self._lock:
            if self._waiting:
                self._rouse()
            else:
                self._at_rest.set()

    def _taken(self, *, everything: bool = False) -> list[Waiter]:
        """The rows of the next statement."""
        with self._lock:
            size = count = 0
            for row, _ in self._waiting:
                if count and size + len(row.body) > FLUSH_BYTES and not everything:
                    break
                size += len(row.body)
                count += 1
            taken = self._waiting[:count]
            del self._waiting[:count]
        return taken

    async def _stored(self, waiters: Sequence[Waiter], rows: bytes, sent: Sent | None = None) -> Sequence[Waiter]:
        """Those that are committed together; where the data of one is refused, by halves until that one is alone.
        The others are told why not."""
        if not waiters:
            return ()
        try:
            await self._line.written(rows, sent)
        except DATA as error:
            if len(waiters) == 1:
                log.error("inbox.refused", error=error.diag.message_primary, project=waiters[0][0].project_id)
                self._settle(waiters, Problem(500, "internal", "The batch could not be stored; the fault is ours."))
                return ()
            middle = len(waiters) // 2
            halves = (waiters[:middle], waiters[middle:])
            parts = [await self._stored(half, encoded([row for row, _ in half])) for half in halves]
            return [*parts[0], *parts[1]]
        except (psycopg.Error, OSError) as error:
            self._note(away=True, error=type(error).__name__)
            self._settle(waiters, unavailable())
            return ()
        self._note(away=False)
        return waiters

    def _committed(self, waiters: Sequence[Waiter]) -> None:
        if waiters:
            self._settle(waiters)
            _count([row for row, _ in waiters])
            accepted.send_robust(sender=None)

    def _note(self, *, away: bool, error: str = "") -> None:
        """Log the change, not every attempt: there may be hundreds a second."""
        if away and not self._away:
            log.warning("inbox.unavailable", error=error)
        elif self._away and not away:
            log.info("inbox.available")
        self._away = away

    def _settle(self, waiters: Sequence[Waiter], problem: Problem | None = None) -> None:
        with self._lock:
            self._rows -= len(waiters)
            self._bytes -= sum(len(row.body) for row, _ in waiters)
        for _, future in waiters:
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)


def _count(rows: Sequence[Row]) -> None:
    """Of all of them at once: counting one costs more than reading its event."""
    COMMITTED.inc(sum(len(row.body) for row in rows))
    for name in {row.dialect for row in rows}:
        events = [row.n for row in rows if row.dialect == name]
        BATCHES.labels(name).inc(len(events))
        EVENTS.labels(name).inc(sum(events))


inbox = Inbox()
