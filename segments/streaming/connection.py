"""One open stream: where it stands, and how bytes get into its socket."""

import asyncio
import contextvars
import random
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

from django.conf import settings
from django_eventstream.views import Listener

from keys.auth import Principal
from keys.scopes import allows
from persona.lib import sse
from persona.lib.wire import Send
from segments.streaming.feed import Piece, View, chunked
from segments.streaming.figures import tally

NEEDED = "stream:read"  # the scope
JITTER = 0.2  # of the maximum age: streams opened together do not all come back together
RETURN_MS = (
    200,
    3_000,
)  # when the streams of a process that stops come back: spread, so that its successor can breathe
GRACE = 5.0  # seconds for a reader to take the last bytes before its connection is cut

# Why a stream is ended, and what the client is told, as a comment. The first words are labels of a metric.
IDLE = "idle: nothing changed for a while"
AGE = "age: it has lasted long enough"
KEY = "key: it may not listen any more"
SLOW = "slow: nothing was read for too long"
STOP = "stop: the server stops"
TICKET = "ticket: it has opened another stream"
FAULT = "fault: the fault is ours"


class Pipe(Protocol):
    """What the server offers beyond ASGI (persona.serving.protocol): writing without waiting, an end with a limit."""

    on_stop: Callable[[], None] | None

    def push(self, chunk: bytes) -> bool: ...
    def finish(self, chunk: bytes, patience: float) -> None: ...


def spawn(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that does not inherit the context of the request which happened to start it."""
    return asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())


class Held(NamedTuple):
    """The ticket that opened a stream: its id, and the number under which this stream holds it."""

    ticket: int
    holder: int


class Connection(Listener):  # type: ignore[misc]  # the library carries no types
    """A listener in django-eventstream's registry that has a cursor instead of a queue.

    Used on its event loop alone, but for `wake_threadsafe`. cursor: served up to here; catching_up: the task that
    serves a stream which is behind, whose socket is full, or whose server has no pipe; user_id: the key's id;
    identity: the user whose profile alone is shown, or None.
    """

    def __init__(
        self,
        *,
        send: Send,
        pipe: Pipe | None,
        principal: Principal,
        view: View,
        cursor: int,
        identity: str | None = None,
        held: Held | None = None,
        ends_in: float | None = None,
    ) -> None:
        super().__init__()
        self.assign_loop()
        self.user_id = principal.key_id
        self.project_id = principal.project_id
        self.channels = {channel(principal.project_id)}
        self.view = view
        self.cursor = cursor
        self.identity = identity
        self.held = held
        self.catching_up: asyncio.Task[None] | None = None
        self.ended = ""
        self._send = send
        self._pipe = pipe
        self._task = asyncio.current_task()
        self._full_since: float | None = None
        self._changed_at: float = self.loop.time()
        life = settings.PERSONA_STREAM_AGE * random.uniform(1 - JITTER, 1)  # noqa: S311 - no secret
        self._ends_at = self._changed_at + (life if ends_in is None else min(life, ends_in))
        if pipe is not None:
            pipe.on_stop = self.stop

    @property
    def waiting(self) -> bool:
        """It is about the profile of a user who has none yet: it stays where it is until there is one."""
        return self.identity is not None and self.view.profile_id is None

    def push(self, piece: Piece) -> bool:
        """Write a piece at once. False: the socket is full, or the server cannot; nothing was written."""
        if piece.chunk and (self._pipe is None or not self._pipe.push(piece.chunk)):
            return False
        self._advance(piece)
        return True

    async def write(self, piece: Piece) -> None:
        """Write a piece, however long the reader takes."""
        if piece.chunk:
            self._full_since = self.loop.time()
            await self._send({"type": "http.response.body", "body": piece.body, "more_body": True})
            self._full_since = None
        self._advance(piece)

    def _advance(self, piece: Piece) -> None:
        self.cursor = piece.to
        if piece.changes:
            tally.frames += piece.changes
            self._changed_at = self.loop.time()

    def over(self) -> str:
        """Why it is to be ended now, or nothing."""
        now: float = self.loop.time()
        if self._full_since is not None and now - self._full_since >= settings.PERSONA_STREAM_STALL:
            return SLOW
        if now >= self._ends_at:
            return AGE
        return IDLE if now - self._changed_at >= settings.PERSONA_STREAM_IDLE else ""

    def may_go_on(self, principal: Principal | None) -> bool:
        """With the rights and settings of its key as they are now; None: the key is no longer good."""
        if principal is None or not allows(principal.scopes, NEEDED):
            return False
        mode = "project" if principal.kind == "sk" else principal.options.pk_streams
        return mode == "project" or (mode == "profile" and self.identity is not None)

    def end(self, reason: str) -> None:
        """End the response with the reason, behind all that was written. Whoever does not read is cut after GRACE."""
        if self.ended:
            return
        self.ended = reason
        tally.ended[reason.partition(":")[0]] += 1
        if self.catching_up is not None:
            self.catching_up.cancel()
        last = sse.retry(random.randint(*RETURN_MS)) + sse.comment(reason)  # noqa: S311 - no secret
        if self._pipe is None:
            spawn(self._last(last))
        else:
            self._pipe.on_stop = None
            self._pipe.finish(chunked(last), GRACE)

    def stop(self) -> None:
        self.end(STOP)

    def wake_threadsafe(self) -> None:
        """The registry's `kick`: this key may not listen any more."""
        self.loop.call_soon_threadsafe(self.end, KEY)

    async def _last(self, body: bytes) -> None:
        try:
            async with asyncio.timeout(GRACE):
                await self._send({"type": "http.response.body", "body": body, "more_body": False})
        except TimeoutError:
            if self._task is not None:
                self._task.cancel()


def channel(project_id: int) -> str:
    """The name under which a project's streams are registered."""
    return f"stream-{project_id}"
