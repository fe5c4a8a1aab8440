"""The durable inbox: one row for each accepted request, many requests to a commit.

All requests of a process share one thread with one connection. It takes what waits, writes it with one COPY, and when
that is committed all its waiters go on. While it commits, the next ones gather.
"""

import os
import struct
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
import psycopg
from django.conf import settings
from django.db import connections
from prometheus_client import Counter, Histogram

from ingestion.signals import accepted
from persona.lib.futures import pending
from persona.lib.log import get_logger
from persona.lib.problems import Problem

log = get_logger(__name__)

MOST_ROWS = 20_000  # waiting at once: more than this takes longer to commit than a client waits
FLUSH_BYTES = 8 * 1024 * 1024  # of bodies in one COPY
STATEMENT_MS = 10_000  # a COPY that takes longer is not going to end
TRIES = 2  # a connection that broke while idle is noticed only by the first use

FLUSHES = Histogram(
    "persona_inbox_commit_seconds",
    "How long a commit of the inbox took.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
COMMITTED = Counter("persona_inbox_committed_bytes", "Bytes of the bodies that were committed to the inbox.")

COPY = (
    "copy ingestion_batch (project_id, batch_id, key_id, dialect, n, received_at, body) from stdin with (format binary)"
)
_HEAD = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
_TAIL = struct.pack("!h", -1)
_NULL = struct.pack("!i", -1)
_FIELDS = struct.pack("!h", 7)
_LENGTH = struct.Struct("!i").pack
_INT4 = struct.Struct("!ii").pack
_INT8 = struct.Struct("!iq").pack


class Row(msgspec.Struct, frozen=True, gc=False):
    """One accepted request. received_at: ms on this process's clock; body: inflated, as the client wrote it."""

    project_id: int
    batch_id: str
    key_id: int | None
    dialect: str
    n: int
    received_at: int
    body: bytes

    def copied(self) -> bytes:
        """The row in the binary format of COPY."""
        return b"".join(
            (
                _FIELDS,
                _INT8(8, self.project_id),
                _sized(self.batch_id.encode()),
                _NULL if self.key_id is None else _INT8(8, self.key_id),
                _sized(self.dialect.encode()),
                _INT4(4, self.n),
                _INT8(8, self.received_at),
                _sized(self.body),
            )
        )


def _sized(value: bytes) -> bytes:
    return _LENGTH(len(value)) + value


Waiter = tuple[Row, "Future[None]"]


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

    def put(self, row: Row) -> "Future[None]":
        """Resolved when `row` is committed. Raises Problem 503 at once when too much waits; or the future does, when
        the database is away."""
        if self._pid != os.getpid():
            self._begin()  # a fork takes neither the thread nor the connection along, but perhaps a held lock
        future: Future[None] = pending()
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
        """The rows of the next COPY, waiting for the first of them; none when it is time to stop."""
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
                self._line.copy([row for row, _ in waiters])
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
            COMMITTED.inc(sum(len(row.body) for row, _ in waiters))
            self._settle(waiters)
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


class Line:
    """The connection of the inbox's thread; opened when needed, and anew after a failure."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None

    def copy(self, rows: Sequence[Row]) -> None:
        """One COPY, committed. Raises psycopg.Error.

        After a connection lost in the middle nobody knows whether it was committed, so it is done again: the rows
        carry their batch_id, and applying a batch for the second time does nothing.
        """
        for left in reversed(range(TRIES)):
            try:
                self._copy(rows)
                return
            except (psycopg.DataError, psycopg.IntegrityError):
                raise
            except psycopg.Error:
                self.close()
                if not left:
                    raise

    def _copy(self, rows: Sequence[Row]) -> None:
        connection = self._connection = self._connection or _connect()
        with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            copy.write(b"".join((_HEAD, *(row.copied() for row in rows), _TAIL)))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect() -> psycopg.Connection[Any]:
    given = connections[settings.INBOX_ALIAS].get_connection_params()
    given.pop("cursor_factory", None)  # Django's own would log every statement of a debug run
    given.pop("context", None)
    # autocommit: the COPY is its own transaction, one round trip. tcp_user_timeout: a vanished host is noticed.
    connection = psycopg.connect(**{"tcp_user_timeout": STATEMENT_MS, **given, "autocommit": True})
    connection.execute(f"set statement_timeout = {STATEMENT_MS}")
    return connection


inbox = Inbox()
