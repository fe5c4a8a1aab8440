"""Thousands of open streams in a process of their own, on a core of its own: a plain loop over epoll, no framework."""

import multiprocessing
import os
import select
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

MARK = b'"profile"'  # once in every change, in no other frame
AT_ONCE = 200  # connections being opened
PATIENCE = 60.0  # seconds

Arrivals = list[list[tuple[float, int]]]  # by stream: when, and how many changes came with that read


class Listeners:
    """The other end of the pipe: what the process shall do, and what it has seen."""

    def __init__(self, core: int) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(target=_serve, args=(theirs, core), daemon=True)
        self._process.start()
        theirs.close()

    def open(self, port: int, request: bytes, count: int) -> None:
        """Open `count` more streams; returns when each has had the head of its answer."""
        self._ask("open", port, request, count)

    def expect(self, changes: int) -> None:
        """From now on, note what arrives, until every stream has had `changes`. Returns at once."""
        self._pipe.send(("expect", changes))

    def arrivals(self) -> Arrivals:
        """What was noted. Raises when something is still missing after a minute."""
        found: Arrivals = self._answer()
        return found

    def close(self) -> None:
        self._ask("close")

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()

    def _ask(self, *words: Any) -> None:
        self._pipe.send(words)
        self._answer()

    def _answer(self) -> Any:
        answer = self._pipe.recv()
        if isinstance(answer, str):
            raise SystemExit(answer)
        return answer


def _serve(pipe: Connection, core: int) -> None:
    os.sched_setaffinity(0, {core})
    crowd = Crowd()
    deeds: dict[str, Callable[..., Any]] = {"open": crowd.open, "expect": crowd.gather, "close": crowd.close}
    while True:
        name, *words = pipe.recv()
        try:
            pipe.send(deeds[name](*words))
        except (OSError, RuntimeError) as error:
            pipe.send(f"{name}: {error}")


class Crowd:
    """The sockets, by file number."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()

    def open(self, port: int, request: bytes, count: int) -> None:
        for first in range(0, count, AT_ONCE):
            opened = [self._opened(port, request) for _ in range(min(AT_ONCE, count - first))]
            for one in opened:
                one.settimeout(PATIENCE)
                answer = one.recv(65_536)
                if b" 200 " not in answer[:20]:
                    raise RuntimeError(f"refused: {answer[:500]!r}")
                one.setblocking(False)
                self._sockets[one.fileno()] = one
                self._poll.register(one, select.EPOLLIN)

    def _opened(self, port: int, request: bytes) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        one.sendall(request)
        return one

    def gather(self, changes: int) -> Arrivals:
        """Read until every stream has had so many. The hot loop: a microsecond here is one that the server waits."""
        seen: dict[int, list[tuple[float, int]]] = {number: [] for number in self._sockets}
        left = len(self._sockets) * changes
        receive = {number: one.recv for number, one in self._sockets.items()}
        tails = dict.fromkeys(self._sockets, b"")
        end = time.monotonic() + PATIENCE
        while left:
            for number, _ in self._poll.poll(1.0, 4_096):
                data = tails[number] + receive[number](1 << 18)
                if not data:
                    raise RuntimeError("a stream was ended")
                count = data.count(MARK)
                tails[number] = data[-(len(MARK) - 1) :] if data[-1] != 10 else b""  # a mark may be cut in two
                if count:
                    seen[number].append((time.monotonic(), count))
                    left -= count
            if time.monotonic() > end:
                raise RuntimeError(f"{left} changes are still missing")
        return list(seen.values())

    def close(self) -> None:
        for one in self._sockets.values():
            self._poll.unregister(one)
            one.close()
        self._sockets.clear()
