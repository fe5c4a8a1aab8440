"""All open streams of this process: one Hub for its event loop."""

import asyncio
import itertools
import logging
import random
import resource
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager

from django.conf import settings
from django_eventstream.views import ListenerManager

from keys.auth import Principal, ring
from persona.lib.log import get_logger
from persona.lib.problems import Problem
from segments.streaming import figures, line, tickets
from segments.streaming.connection import KEY, TICKET, Connection, spawn
from segments.streaming.follower import Follower
from segments.streaming.reader import Reader

log = get_logger(__name__)

TICK = 0.25  # seconds between looks at whose heart is to beat
SWEEP = 4  # ticks between looks at which streams are over
TICKETS = 20  # ticks between looks at the tickets
PATIENCE = 5.0  # seconds for the database, before a stream starts; once open, a stream waits as long as it takes
SPARE_FILES = 256  # that the process needs beside its streams

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
        self._users: Counter[int] = Counter()  # by key: streams open or being opened
        self._tickets: dict[int, Connection] = {}
        self._files = _most_files() - SPARE_FILES
        self._loop = asyncio.get_running_loop()
        self._tasks = {spawn(line.listen(self._on_bell)), spawn(self._tick())}
        self._looking: asyncio.Task[None] | None = None

    @property
    def open(self) -> int:
        """How many streams are open."""
        return sum(len(listeners) for listeners in self.registry.listeners_by_channel.values())

    # --- A stream that opens -----------------------------------------------------------------------------------------

    @contextmanager
    def following(self, principal: Principal) -> Iterator[Follower]:
        """The project's follower, which stays at least as long as this block. Raises Problem 429 or 503: too many."""
        self._check_room(principal)
        follower = self._follower(principal.project_id)
        follower.users += 1
        self._users[principal.key_id] += 1
        try:
            yield follower
        finally:
            follower.users -= 1
            self._users[principal.key_id] -= 1
            if not self._users[principal.key_id]:
                del self._users[principal.key_id]

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """What is needed from the database for an answer, within PATIENCE. Raises Problem 503."""
        try:
            async with asyncio.timeout(PATIENCE):
                yield
        except TimeoutError:
            detail = "The log of changes cannot be read right now. Try again in a moment."
            raise Problem(503, "stream.unavailable", detail, retry_after=2) from None

    async def personas(self, project_id: int, slugs: Collection[str]) -> frozenset[int] | None:
        """The ids of the personas, None for none. Raises Problem 404 for one that does not exist."""
        if not slugs:
            return None
        sane = {slug for slug in slugs if "\x00" not in slug}  # PostgreSQL takes no such text
        found = await self.reader.personas(project_id, sane)
        unknown = sorted(set(slugs) - found.keys())
        if unknown:
            raise Problem(404, "stream.unknown_persona", f"This project has no persona {unknown[0]!r}.")
        return frozenset(found.values())

    @contextmanager
    def serving(self, connection: Connection, follower: Follower) -> Iterator[None]:
        """Registered and served as long as this block."""
        self.registry.add_listener(connection)
        if connection.held is not None:
            if (earlier := self._tickets.get(connection.held.ticket)) is not None:
                earlier.end(TICKET)
            self._tickets[connection.held.ticket] = connection
        follower.join(connection)
        try:
            yield
        finally:
            follower.leave(connection)
            self.registry.remove_listener(connection)
            if connection.held is not None and self._tickets.get(connection.held.ticket) is connection:
                del self._tickets[connection.held.ticket]

    def _follower(self, project_id: int) -> Follower:
        follower = self._followers.get(project_id)
        if follower is None:
            follower = self._followers[project_id] = Follower(project_id, live=self.reader, pages=self._pages)
            # The hearts of many projects beat at different moments.
            spread = random.random()  # noqa: S311 - no secret hangs on it
            self._beats[project_id] = self._loop.time() + settings.PERSONA_STREAM_HEARTBEAT * spread
        return follower

    def _check_room(self, principal: Principal) -> None:
        if self._users[principal.key_id] >= settings.PERSONA_STREAM_KEY_LIMIT:
            raise Problem(429, "stream.key_limit", "This key has as many streams as it may have.", retry_after=30)
        follower = self._followers.get(principal.project_id)
        if follower is not None and follower.users >= settings.PERSONA_STREAM_PROJECT_LIMIT:
            detail = "This project has as many streams as it may have."
            raise Problem(429, "stream.project_limit", detail, retry_after=30)
        if self._users.total() >= min(settings.PERSONA_STREAM_LIMIT, self._files):
            detail = "This server holds as many streams as it can. Try again in a moment."
            raise Problem(503, "stream.busy", detail, retry_after=5)

    # --- What happens meanwhile --------------------------------------------------------------------------------------

    def _on_bell(self, project_id: int, seq: int) -> None:
        rung = list(self._followers) if project_id == line.EVERY else [project_id]
        for followed in rung:
            if followed in self._followers:
                self._followers[followed].ring(seq)

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
                lag = max((follower.lag for follower in self._followers.values()), default=0)
                figures.publish(streams=self.open, lag=lag)
            if tick % TICKETS == 0 and self._tickets and (self._looking is None or self._looking.done()):
                self._looking = spawn(self._look_at_tickets())
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
        """End the streams that are idle, old, stuck, or whose key is no longer good, or no longer for this."""
        for follower in self._followers.values():
            keys = {key_id: ring.held(key_id) for key_id in {each.user_id for each in follower.connections}}
            for connection in list(follower.connections):
                if not connection.may_go_on(keys[connection.user_id]):
                    connection.end(KEY)
                elif reason := connection.over():
                    connection.end(reason)

    async def _look_at_tickets(self) -> None:
        """Say that they are in use, and end the streams whose ticket has opened another one, in whatever process."""
        held: defaultdict[int, dict[int, int]] = defaultdict(dict)
        for connection in self._tickets.values():
            if connection.held is not None:
                held[connection.project_id][connection.held.ticket] = connection.held.holder
        for project_id, mine in held.items():
            gone = mine.keys() - await tickets.seen(self.reader, project_id, mine)
            for connection in list(self._tickets.values()):
                ticket, holder = connection.held or (0, 0)
                if ticket in gone and mine[ticket] == holder:
                    connection.end(TICKET)


def open_streams() -> int:
    """How many streams this process holds open."""
    return sum(hub.open for hub in _hubs.values())


def _most_files() -> int:
    """As many open files as the process may have: usually far more than it is given at its start."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1 << 20


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def here() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        for closed in [other for other in _hubs if other.is_closed()]:
            del _hubs[closed]
        _hubs[loop] = Hub()
    return _hubs[loop]
