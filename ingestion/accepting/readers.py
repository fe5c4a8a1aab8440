"""Bodies that may take long to read are read beside the event loop, so that one of them costs nobody else more than a
few milliseconds. Bounded: what does not fit is refused at once."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ingestion.accepting.inbox import busy

THREADS = 2  # Python lets one of them work at a time; the second is for whoever comes behind a slow body
MOST_BYTES = 64 * 1024 * 1024  # of bodies that wait or are being read
AT_ONCE = 16 * 1024  # bytes that the event loop reads itself: 6 ms at the very worst, 0.1 ms as a rule
INFLATION = 12  # of JSON, as a rule

Read = TypeVar("Read")


def size_of(body: bytes, encoding: str | None) -> int:
    """Bytes that reading is likely to be about."""
    plain = not encoding or encoding.strip().lower() == "identity"
    return len(body) if plain else len(body) * INFLATION


class Readers:
    """One per process; its threads start with the first body, and again in a forked child."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._bytes = 0
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="reader")

    def run(self, size: int, work: Callable[[], Read]) -> "Future[Read]":
        """The result of `work`, which is about a body of `size` bytes. Raises Problem 503 when too much waits."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            if self._bytes and self._bytes + size > MOST_BYTES:
                raise busy()
            self._bytes += size
        return self._pool.submit(self._run, size, work)

    def _run(self, size: int, work: Callable[[], Read]) -> Read:
        try:
            return work()
        finally:
            with self._lock:
                self._bytes -= size


readers = Readers()
