"""The durable inbox: one row for each accepted request, many requests to a commit.

All requests of a process share one thread with one connection. It takes what waits, writes it with one statement, and
when that is committed all its waiters go on. While it commits, the next ones gather.
"""

import os
import threading
from collections.abc import Sequence

import psycopg
from django.conf import settings
from prometheus_client import Counter, Histogram

from ingestion.inbox_line import Line, Row
from ingestion.signals import accepted
from persona.lib.futures import Promise, pending
from persona.lib.log import get_logger
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

Waiter = tuple[Row, "Promise[None]"]


def busy() -> Problem:
    return Problem(503, "ingest.busy", "More is coming in than can be stored right now. Try again.", retry_after=1)


def unavailable() -> Problem:
    detail = "The inbox cannot be written right now; nothing of this batch is acknowledged. Try again."
    return Problem(503, "ingest.unavailable", detail, retry_after=2)


def stopping() -> Problem:
    return Problem(503, "ingest.stopping", "This server is about to stop. Try again.", retry_after=1)


class Inbox:
    """One per process. Its thread starts with the first row, and again in a forked child."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Waiter] = []
        self._bytes = 0  # of all rows whose waiters wait, those being written included
        self._rows = 0
        self._stopped = False
        self._away = False
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._line = Line()

    def put(self, row: Row) -> "Promise[None]":
        """Resolved when `row` is committed. Raises Problem 503 at once when too much waits; or the future does, when
        the database is away."""
        if self._pid != os.getpid():
            self._begin()  # a fork takes neither the thread nor the connection along, but perhaps a held lock
        future: Promise[None] = pending()
        with self._changed:
            if self._stopped:
                raise stopping()
            if self._bytes + len(row.body) > settings.PERSONA_INBOX_QUEUE_BYTES or self._rows >= MOST_ROWS:
                raise busy()
            self._bytes += len(row.body)
            self._rows += 1
            self._waiting.append((row, future))
            self._run()
            self._changed.notify()
        return future

    def start(self) -> None:
        """Take rows (again)."""
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            self._stopped = False

    def stop(self, timeout: float = 10.0) -> None:
        """Write what waits and take no more; what is not written after `timeout` seconds is refused."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
        self._settle(self._taken(everything=True), stopping())

    def _run(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._flush_on, name="inbox", daemon=True)
            self._thread.start()

    def _flush_on(self) -> None:
        while waiters := self._next():
            try:
                self._write(waiters)
            except Exception:  # whatever it was: nobody may be left waiting
                log.exception("inbox.broken", rows=len(waiters))
                self._settle([waiter for waiter in waiters if not waiter[1].done()], unavailable())
        self._line.close()

    def _next(self) -> list[Waiter]:
        """The rows of the next statement, waiting for the first of them; none when it is time to stop."""
        with self._changed:
            while not self._waiting:
                if self._stopped:
                    self._thread = None
                    return []
                self._changed.wait()
        return self._taken()

    def _taken(self, *, everything: bool = False) -> list[Waiter]:
        with self._changed:
            size = count = 0
            for row, _ in self._waiting:
                if count and size + len(row.body) > FLUSH_BYTES and not everything:
                    break
                size += len(row.body)
                count += 1
            taken = self._waiting[:count]
            del self._waiting[:count]
        return taken

    def _write(self, waiters: Sequence[Waiter]) -> None:
        """Commit `waiters` together; where the data of one is refused, by halves until that one is alone."""
        try:
            with FLUSHES.time():
                self._line.write([row for row, _ in waiters])
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(waiters) == 1:
                log.error("inbox.refused", error=error.diag.message_primary, project=waiters[0][0].project_id)
                self._settle(waiters, Problem(500, "internal", "The batch could not be stored; the fault is ours."))
                return
            middle = len(waiters) // 2
            self._write(waiters[:middle])
            self._write(waiters[middle:])
        except (psycopg.Error, OSError) as error:
            self._note(away=True, error=type(error).__name__)
            self._settle(waiters, unavailable())
        else:
            self._note(away=False)
            self._settle(waiters)
            COMMITTED.inc(sum(len(row.body) for row, _ in waiters))
            accepted.send_robust(sender=None)

    def _note(self, *, away: bool, error: str = "") -> None:
        """Log the change, not every attempt: there may be hundreds a second."""
        if away and not self._away:
            log.warning("inbox.unavailable", error=error)
        elif self._away and not away:
            log.info("inbox.available")
        self._away = away

    def _settle(self, waiters: Sequence[Waiter], problem: Problem | None = None) -> None:
        with self._changed:
            self._rows -= len(waiters)
            self._bytes -= sum(len(row.body) for row, _ in waiters)
        for _, future in waiters:
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)


inbox = Inbox()
