"""A load of POSTs at an even pace, and the bells that tell of each commit. Lean: the product runs on the same machine.

The pace does not wait for answers; a request for which no connection is free is sent late, and how late is told.
"""

import json
import resource
import select
import socket
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import redis

CONNECTIONS = 64
INGEST = "/api/v2/pipeline/ingest"


class Sent(NamedTuple):
    """One acknowledged request; seconds on the machine's clock."""

    at: float
    accepted: float


class Load:
    """Keep-alive connections to one installation."""

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        self._address = (address.hostname or "", address.port or 80)
        self._head = f"POST {INGEST} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Length: "
        self.late = 0.0  # seconds, the most that a request was sent after its moment
        self.cpu = 0.0  # seconds of processor that the last run took

    def request(self, body: bytes) -> bytes:
        """Bytes ready to be sent: made before a run, so that making them is not part of it."""
        return f"{self._head}{len(body)}\r\n\r\n".encode() + body

    def run(self, requests: Sequence[bytes], rate: float) -> list[Sent]:
        """Send them all, `rate` a second. AssertionError for any answer that is not a 202."""
        before = _cpu()
        lines = {line.fileno(): line for line in (socket.create_connection(self._address) for _ in range(CONNECTIONS))}
        try:
            return self._run(lines, requests, rate)
        finally:
            self.cpu = _cpu() - before
            for line in lines.values():
                line.close()

    def _run(self, lines: dict[int, socket.socket], requests: Sequence[bytes], rate: float) -> list[Sent]:
        poll, idle = select.epoll(), deque(lines)  # in turn: the server ends what is idle for seconds
        for number, line in lines.items():
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(number, select.EPOLLIN)
        flying: dict[int, tuple[int, float]] = {}
        done = [Sent(0, 0)] * len(requests)
        start, n = time.monotonic(), 0
        self.late = 0.0
        while n < len(requests) or flying:
            elapsed = time.monotonic() - start
            due = min(int(elapsed * rate) + 1, len(requests))
            while n < due and idle:
                number = idle.popleft()
                flying[number] = (n, time.time())
                lines[number].sendall(requests[n])
                self.late = max(self.late, elapsed - n / rate)
                n += 1
            wait = max((n / rate) - (time.monotonic() - start), 0) if n < len(requests) and idle else 1.0
            for number, _ in poll.poll(wait):
                answer = lines[number].recv(65_536)
                assert answer.startswith((b"HTTP/1.1 202", b"{")), answer
                if answer.endswith(b"}"):  # head and body may come apart
                    place, at = flying.pop(number)
                    done[place] = Sent(at, time.time())
                    idle.append(number)
        return done


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Bells:
    """Hears of each commit of the log, as an open stream does: by PostgreSQL's NOTIFY, or by Redis."""

    def __init__(self, dsn: str, redis_url: str = "") -> None:
        self._heard: list[tuple[int, float]] = []  # the log's number, and when
        self._dsn, self._redis = dsn, redis_url
        self._up = threading.Event()
        threading.Thread(target=self._subscribed if redis_url else self._listening, daemon=True).start()
        assert self._up.wait(10)

    def _listening(self) -> None:
        with suppress(psycopg.OperationalError), psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute("listen persona_bell")
            self._up.set()
            for notification in connection.notifies():  # until the installation ends
                self._heard.append((int(notification.payload.partition(":")[2]), time.time()))

    def _subscribed(self) -> None:
        line = redis.Redis.from_url(self._redis).pubsub()  # type: ignore[no-untyped-call]  # redis-py has it untyped
        line.subscribe("events_channel")
        with suppress(redis.ConnectionError):
            for message in line.listen():  # until the installation ends
                if message["type"] == "message":
                    heard = time.time()
                    self._heard.append((int(json.loads(message["data"])["data"]), heard))
                self._up.set()

    def of(self, seqs: Sequence[int]) -> list[float]:
        """When the commit of each log row was heard: by the first bell that reaches so far."""
        heard = sorted(self._heard)
        numbers = [seq for seq, _ in heard]
        return [heard[bisect_left(numbers, seq)][1] for seq in seqs]
