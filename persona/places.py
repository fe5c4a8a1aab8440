"""Django behind a fixed number of places: each has a thread and a database connection that stay; a crowd waits in line.

By itself Django's ASGI handler starts a thread for every request that comes, and each of them wants a connection. Here
a request takes a place when its body has arrived and gives it back when its answer is made: whoever sends or reads
slowly holds none.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from persona.lib import wire
from persona.lib.log import get_logger
from persona.lib.problems import Problem
from persona.lib.wire import Answer, Receive, Scope, Send

log = get_logger(__name__)

MOST_WAITING = 1_000  # requests in the line; one more is refused at once
PATIENCE = 20.0  # seconds in the line
READING = 30.0  # seconds for a body to arrive
BODY_BYTES = 2 * 1024 * 1024  # of one request
HELD_BYTES = 64 * 1024 * 1024  # of all that arrive, wait or are being answered
KEPT_BYTES = 8 * 1024 * 1024  # of one answer
COMPLAIN = 10.0  # seconds between two lines of the log about those turned away

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Kept:
    """An answer that waits until it is complete, unless it is large: then its reader's pace counts after all."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[MutableMapping[str, Any]] = []
        self._bytes = 0

    async def keep(self, message: MutableMapping[str, Any]) -> None:
        self._messages.append(message)
        self._bytes += len(message.get("body", b""))
        if self._bytes > KEPT_BYTES:
            await self.release()

    async def release(self) -> None:
        messages, self._messages = self._messages, []
        for message in messages:
            await self._send(message)


class Places:
    """An ASGI application in front of `app`, for one event loop. refused(path, problem): the answer to those who are
    turned away."""

    def __init__(self, app: Application, *, places: int, refused: Callable[[str, Problem], Answer]) -> None:
        self._app = app
        self._refused = refused
        self._open = asyncio.Semaphore(places)
        # The last one given back is taken first: without a crowd few threads are ever started.
        self.threads = tuple(ThreadPoolExecutor(1, thread_name_prefix=f"place-{n}") for n in range(places))
        self._free = list(self.threads)
        self._waiting = 0
        self._bytes = 0
        self._complained = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Kept(send)
        try:
            async with self._whole(receive) as body, self._place() as thread, ThreadSensitiveContext(executor=thread):
                await self._app(scope, _again(body, receive), answer.keep)
        except ConnectionError:
            return  # nobody is there to be answered
        except Problem as problem:
            await self._turn_away(scope, send, problem)
        await answer.release()

    @asynccontextmanager
    async def _whole(self, receive: Receive) -> AsyncIterator[bytes]:
        """The body, counted for as long as it is held. Raises Problem, or ConnectionError when the client left."""
        counted = 0

        async def counting() -> MutableMapping[str, Any]:
            nonlocal counted
            message = await receive()
            counted += (size := len(message.get("body", b"")))
            self._bytes += size
            if self._bytes > HELD_BYTES:
                raise self._busy()
            return message

        try:
            yield await _read(counting)
        finally:
            self._bytes -= counted

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[ThreadPoolExecutor]:
        """A place, in the order of coming. Raises Problem 503."""
        if self._waiting >= MOST_WAITING:
            raise self._busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE):
                await self._open.acquire()
        except TimeoutError:
            raise self._busy() from None
        finally:
            self._waiting -= 1
        thread = self._free.pop()
        try:
            yield thread
        finally:
            self._free.append(thread)
            self._open.release()

    def _busy(self) -> Problem:
        if time.monotonic() - self._complained > COMPLAIN:
            self._complained = time.monotonic()
            log.warning("request.crowd", waiting=self._waiting, held_bytes=self._bytes)
        detail = "More is asked at once than can be answered. Nothing was done. Try again."
        return Problem(503, "service.busy", detail, retry_after=1)

    async def _turn_away(self, scope: Scope, send: Send, problem: Problem) -> None:
        request_id = wire.request_id(wire.header_map(scope["headers"]).get("x-request-id"))
        await wire.send_answer(send, self._refused(scope["path"], problem), (("x-request-id", request_id),))


async def _read(receive: Receive) -> bytes:
    try:
        async with asyncio.timeout(READING):
            return await wire.read_body(receive, BODY_BYTES)
    except TimeoutError:
        detail = f"The body did not arrive within {READING:.0f} s. Nothing of it was taken."
        raise Problem(408, "request.timeout", detail, headers=(("connection", "close"),)) from None
    except wire.TooLarge:
        detail = f"At most {BODY_BYTES} bytes a request."
        raise Problem(413, "request.too_large", detail, headers=(("connection", "close"),)) from None


def _again(body: bytes, receive: Receive) -> Receive:
    """What Django may receive: the body as if it came now, then whatever comes after it."""
    whole: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> MutableMapping[str, Any]:
        return whole.pop() if whole else await receive()

    return replayed
