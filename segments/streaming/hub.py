"""All open streams of this process: one Hub for its event loop."""

import asyncio
import itertools
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django_eventstream.views import ListenerManager

from keys.auth import ring
from persona.lib.log import get_logger
from segments.streaming import line
from segments.streaming.connection import Connection, channel
from segments.streaming.follower import Follower, spawn
from segments.streaming.reader import Reader

log = get_logger(__name__)

TICK = 0.25  # seconds between looks at whose heart is to beat
SWEEP = 4  # ticks between looks at which streams are over

# The registry says one line for each stream that opens.
logging.getLogger("django_eventstream.views").setLevel(logging.WARNING)


class Hub:
    """Started by the first stream, on the running event loop; lives as long as that."""

    def __init__(self) -> None:
        self.registry = ListenerManager()
        # The bell has its own line to Redis: the library's does not come back after Redis was away.
        self.registry.redis_listener = None
        self.reader = Reader()
        self._pages = Reader()
        self._followers: dict[int, Follower] = {}
        self._beats: dict[int, float] = {}  # when the next heartbeat of a project is due
        self._loop = asyncio.get_running_loop()
        self._tasks = [spawn(line.listen(self._on_bell)), spawn(self._tick())]

    @property
    def open(self) -> int:
        """How many streams are open."""
        return sum(len(listeners) for listeners in self.registry.listeners_by_channel.values())

    @contextmanager
    def following(self, project_id: int) -> Iterator[Follower]:
        """The project's follower, which stays at least as long as this block."""
        follower = self._followers.get(project_id)
        if follower is None:
            follower = self._followers[project_id] = Follower(project_id, live=self.reader, pages=self._pages)
            # The hearts of many projects beat at different moments.
            spread = random.random()  # noqa: S311 - no secret hangs on it
            self._beats[project_id] = self._loop.time() + settings.PERSONA_STREAM_HEARTBEAT * spread
        follower.users += 1
        try:
            yield follower
        finally:
            follower.users -= 1

    @contextmanager
    def serving(self, connection: Connection, follower: Follower) -> Iterator[None]:
        """Registered and served as long as this block."""
        self.registry.add_listener(connection)
        follower.join(connection)
        try:
            yield
        finally:
            follower.leave(connection)
            self.registry.remove_listener(connection)

    def _on_bell(self, project_id: int) -> None:
        rung = list(self._followers) if project_id == line.EVERY else [project_id]
        for followed in rung:
            if followed in self._followers:
                self._followers[followed].ring()

    async def _tick(self) -> None:
        try:
            for tick in itertools.count(1):
                await asyncio.sleep(TICK)
                self._look(tick)
        finally:  # the loop ends
            await self.reader.close()
            await self._pages.close()

    def _look(self, tick: int) -> None:
        try:
            self._beat()
            if tick % SWEEP == 0:
                self._sweep()
        except Exception:
            log.exception("stream.tick_failed")

    def _beat(self) -> None:
        now = self._loop.time()
        for project_id in [project_id for project_id, due in self._beats.items() if due <= now]:
            follower = self._followers[project_id]
            if follower.users:
                self._beats[project_id] = now + settings.PERSONA_STREAM_HEARTBEAT
                follower.beat()
            else:
                del self._followers[project_id], self._beats[project_id]
                follower.stop()

    def _sweep(self) -> None:
        """End the streams that are idle, old, or whose key is no longer good."""
        for project_id, follower in self._followers.items():
            for key_id in {connection.user_id for connection in follower.connections}:
                if not ring.valid(key_id):
                    self.registry.kick(key_id, channel(project_id))
            for connection in list(follower.connections):
                if connection.is_over():
                    connection.end()


def open_streams() -> int:
    """How many streams this process holds open."""
    return sum(hub.open for hub in _hubs.values())


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def here() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        for closed in [other for other in _hubs if other.is_closed()]:
            del _hubs[closed]
        _hubs[loop] = Hub()
    return _hubs[loop]
