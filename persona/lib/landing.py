"""How the results of threads reach an event loop: many of them with one wake-up, and one timer for all that wait.

`asyncio.wrap_future` and `wait_for` wake the loop for each result and make a timer for each, which under load costs
more than what is waited for.
"""

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

LOOK = 1.0  # seconds between two looks at who has waited too long


class Landing:
    """Of one event loop; everything but `_arrive` runs on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._arrived: deque[asyncio.Future[None]] = deque()
        self._ringing = False
        self._waiting: dict[asyncio.Future[None], float] = {}  # until when; the longest waiting first
        self._looking = False

    async def result(self, promised: "Future[T]", seconds: float) -> T:
        """What `promised` becomes. Raises its exception, or TimeoutError after `seconds` (the same for all)."""
        if not promised.done():
            landed: asyncio.Future[None] = self.loop.create_future()
            self._waiting[landed] = self.loop.time() + seconds
            promised.add_done_callback(lambda _: self._arrive(landed))
            self._look_later()
            try:
                await landed
            finally:
                self._waiting.pop(landed, None)
        return promised.result(0)

    def _arrive(self, landed: "asyncio.Future[None]") -> None:
        """On any thread. First the result, then the look: whoever rings no more has not begun to empty it yet."""
        self._arrived.append(landed)
        if not self._ringing:
            self._ringing = True
            self.loop.call_soon_threadsafe(self._land)

    def _land(self) -> None:
        self._ringing = False
        while self._arrived:
            landed = self._arrived.popleft()
            if not landed.done():
                landed.set_result(None)

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            self.loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        self._looking = False
        now = self.loop.time()
        for landed, until in self._waiting.items():
            if until > now:
                break
            if not landed.done():
                landed.set_exception(TimeoutError())
        if self._waiting:
            self._look_later()


_landing: Any = None


async def landed(promised: "Future[T]", seconds: float) -> T:
    """`Landing.result` on the running loop. A process serves with one loop."""
    global _landing
    loop = asyncio.get_running_loop()
    if _landing is None or _landing.loop is not loop:
        _landing = Landing(loop)
    mine: Landing = _landing
    return await mine.result(promised, seconds)
