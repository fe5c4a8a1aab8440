"""How the results of threads reach an event loop: many of them with one wake-up, and one timer for all that wait.

`asyncio.wrap_future` and `wait_for` wake the loop for each result and make a timer for each, which under load costs
more than what is waited for.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

LOOK = 1.0  # seconds between two looks at who has waited too long


class Landing:
    """Of one event loop, on which it is made; everything but `_arrive` runs there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._thread = threading.get_ident()
        self._arrived: deque[Callable[[], object]] = deque()
        self._ringing = False
        self._waiting: dict[Callable[[], object], float] = {}  # until when; the longest waiting first
        self._looking = False

    def when(self, promised: "Future[Any]", seconds: float, act: Callable[[], object]) -> None:
        """Call `act` (hashable, not given twice at once) when `promised` is done, or after `seconds` (the same for all)
        if it is not."""
        self._waiting[act] = self.loop.time() + seconds
        promised.add_done_callback(lambda _: self._arrive(act))
        self._look_later()

    async def result(self, promised: "Future[T]", seconds: float) -> T:
        """What `promised` becomes. Raises its exception, or TimeoutError after `seconds` (the same for all)."""
        if not promised.done():
            landed: asyncio.Future[None] = self.loop.create_future()

            def land() -> None:
                if not landed.done():
                    landed.set_result(None)

            self.when(promised, seconds, land)
            try:
                await landed
            finally:
                self._waiting.pop(land, None)
        return promised.result(0)

    def _arrive(self, act: Callable[[], object]) -> None:
        """On any thread. First the result, then the look: whoever rings no more has not begun to empty it yet."""
        if threading.get_ident() == self._thread:
            self._act(act)
            return
        self._arrived.append(act)
        if not self._ringing:
            self._ringing = True
            self.loop.call_soon_threadsafe(self._land)

    def _land(self) -> None:
        self._ringing = False
        while self._arrived:
            self._act(self._arrived.popleft())

    def _act(self, act: Callable[[], object]) -> None:
        if self._waiting.pop(act, None) is not None:
            act()

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            self.loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        self._looking = False
        now = self.loop.time()
        for act in [act for act, until in self._waiting.items() if until <= now]:
            self._act(act)
        if self._waiting:
            self._look_later()


_landing: Any = None


def landing() -> Landing:
    """That of the running loop. A process serves with one loop."""
    global _landing
    loop = asyncio.get_running_loop()
    if _landing is None or _landing.loop is not loop:
        _landing = Landing(loop)
    mine: Landing = _landing
    return mine


async def landed(promised: "Future[T]", seconds: float) -> T:
    """`Landing.result` on the running loop."""
    return await landing().result(promised, seconds)
