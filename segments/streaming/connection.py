"""One open stream: where it stands, and how bytes get into its socket."""

import asyncio
import random
import types
from collections.abc import Coroutine, Generator
from typing import Any, NamedTuple

from django.conf import settings
from django_eventstream.views import Listener

from keys.auth import Principal
from persona.lib.wire import Send
from segments.streaming.feed import Piece

JITTER = 0.2  # of the maximum age: streams opened together do not all come back together


class Suspended(NamedTuple):
    """A coroutine that was started by hand, and the future that it waits for."""

    coroutine: Coroutine[Any, None, None]
    waits_for: object


def begin(coroutine: Coroutine[Any, None, None]) -> Suspended | None:
    """Run `coroutine` up to its first wait; None if it never waited.

    ASGI's `send` has no "would it block?". uvicorn's waits only in one place, before it writes anything, and only
    while the socket's buffer is above its high-water mark; so nearly always it is through at once, and a stream
    costs neither a task nor a wake-up per frame. Where it waits is not relied on: see `finish`.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return Suspended(coroutine, waits_for)


@types.coroutine
def finish(suspended: Suspended) -> Generator[object, None, None]:
    """Await the rest of a coroutine that `begin` started: the same one goes on, so nothing is written twice or lost."""
    try:
        yield suspended.waits_for
        yield from suspended.coroutine
    finally:
        suspended.coroutine.close()


class Connection(Listener):  # type: ignore[misc]  # the library carries no types
    """A listener in django-eventstream's registry that has a cursor instead of a queue.

    Used on its event loop alone, but for `wake_threadsafe`. cursor: served up to here; personas: ids to show, None for
    all; catching_up: the task that serves a stream which is behind, or whose socket is full; user_id: the key's id.
    """

    def __init__(self, *, send: Send, principal: Principal, personas: frozenset[int] | None, cursor: int) -> None:
        super().__init__()
        self.assign_loop()
        self.user_id = principal.key_id
        self.channels = {channel(principal.project_id)}
        self.personas = personas
        self.cursor = cursor
        self.catching_up: asyncio.Task[None] | None = None
        self.ended = False
        self._send = send
        self._task = asyncio.current_task()
        self._changed_at: float = self.loop.time()
        self._ends_at = self._changed_at + settings.PERSONA_STREAM_AGE * random.uniform(1 - JITTER, 1)  # noqa: S311 - no secret

    def begin(self, piece: Piece) -> Suspended | None:
        """Write a piece; None when it is written, else what remains to be awaited before `advance`."""
        if piece.body:
            suspended = begin(self._write(piece.body, more=True))
            if suspended is not None:
                return suspended
        self.advance(piece)
        return None

    async def write(self, piece: Piece) -> None:
        """Write a piece, however long the reader takes."""
        if piece.body:
            await self._write(piece.body, more=True)
        self.advance(piece)

    def advance(self, piece: Piece) -> None:
        """The piece is in the socket."""
        self.cursor = piece.to
        if piece.changes:
            self._changed_at = self.loop.time()

    def is_over(self) -> bool:
        """Nothing changed for too long, or it has lasted long enough."""
        now: float = self.loop.time()
        return now - self._changed_at >= settings.PERSONA_STREAM_IDLE or now >= self._ends_at

    def end(self) -> None:
        """End the response cleanly. A reader whose socket is full cannot be told: its connection is cut."""
        if self.ended:
            return
        self.ended = True
        if self.catching_up is not None:
            self.catching_up.cancel()
        suspended = begin(self._write(b"", more=False))
        if suspended is not None:
            suspended.coroutine.close()
            if self._task is not None:
                self._task.cancel()

    def wake_threadsafe(self) -> None:
        """The registry's `kick`: this key may not listen any more."""
        self.loop.call_soon_threadsafe(self.end)

    def _write(self, body: bytes, *, more: bool) -> Coroutine[Any, None, None]:
        coroutine: Any = self._send({"type": "http.response.body", "body": body, "more_body": more})
        return coroutine  # type: ignore[no-any-return]  # ASGI promises an awaitable; every server's is a coroutine


def channel(project_id: int) -> str:
    """The name under which a project's streams are registered."""
    return f"stream-{project_id}"
