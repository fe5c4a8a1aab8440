"""Follows one project's log for all of its open streams in this process."""

import asyncio

from persona.lib.log import get_logger
from segments.streaming import feed
from segments.streaming.connection import FAULT, Connection, spawn
from segments.streaming.feed import Feed, Piece, View, framed, joined
from segments.streaming.reader import Reader

log = get_logger(__name__)

PAGE = 1_000  # rows of one statement
AT_ONCE = 256  # streams served before others get their turn on the event loop


class Follower:
    """Reads what is new when the bell rings or the heart beats, and hands it to every stream.

    `live` reads for the feed, `pages` for streams that are behind it: a crowd that catches up delays nobody else.
    """

    def __init__(self, project_id: int, *, live: Reader, pages: Reader) -> None:
        self.feed = Feed(project_id)
        self.connections: set[Connection] = set()
        self.users = 0  # streams open or being opened: as long as there are any, it stays
        self._live = live
        self._pages = pages
        self._turn = asyncio.Lock()
        self._started = False
        self._rung = asyncio.Event()
        self._beaten = False
        self._heard = 0  # the newest number that a bell has told
        self._task = spawn(self._follow())

    @property
    def lag(self) -> int:
        """Changes behind the head, as far as it is known here."""
        return max(0, self._heard - self.feed.cursor) if self._started else 0

    # --- From outside ------------------------------------------------------------------------------------------------

    def ring(self, seq: int = 0) -> None:
        """There may be something new, up to `seq`."""
        self._heard = max(self._heard, seq)
        self._rung.set()

    def beat(self) -> None:
        """To every stream that has been served all there is; and look at the log, should a bell have been lost."""
        self._beaten = True
        self._rung.set()
        piece = feed.heartbeat(self.feed.cursor)
        for connection in list(self.connections):
            if connection.cursor == piece.to:
                self._begin(connection, piece)
            elif connection.waiting:
                self._begin(connection, feed.heartbeat(connection.cursor))

    async def bounds(self) -> tuple[int, int]:
        """The log's oldest and newest number now; the feed then reaches at least to the newest."""
        oldest, head = await self._live.bounds(self.feed.project_id)
        if not self._started or self.feed.cursor < head:
            async with self._turn:
                await self._read()
        return oldest, head

    def join(self, connection: Connection) -> None:
        """Serve this stream from now on."""
        self.connections.add(connection)
        self._serve(connection)

    def leave(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if connection.catching_up is not None:
            connection.catching_up.cancel()

    def stop(self) -> None:
        self._task.cancel()

    # --- The log -----------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            beaten, self._beaten = self._beaten, False
            try:
                async with self._turn:
                    await self._read()
                    if beaten:
                        await self._check_bounds()
                    await self._identify(beaten=beaten)
            except Exception:
                log.exception("stream.turn_failed", project=self.feed.project_id)

    async def _read(self) -> None:
        """Everything after the feed's cursor, to every stream."""
        if not self._started:
            _, head = await self._live.bounds(self.feed.project_id)
            self.feed.restart(head)
            self._started = True
        while True:
            rows = await self._live.after(self.feed.project_id, self.feed.cursor, None, PAGE)
            if rows:
                if rows[0].seq != self.feed.cursor + 1:
                    self._restart(rows[0].seq - 1)
                self.feed.extend(rows)
                # To the last of them, even if whoever opens a stream, and so has us read, is called off meanwhile.
                await asyncio.shield(spawn(self._deliver()))
            if len(rows) < PAGE:
                return

    async def _check_bounds(self) -> None:
        """A failover to an older copy, or pruning while the database was away for long: every stream must be told."""
        oldest, head = await self._live.bounds(self.feed.project_id)
        if not oldest - 1 <= self.feed.cursor <= head:
            self._restart(head)
            await self._deliver()

    def _restart(self, head: int) -> None:
        """The log does not go on where the feed ended. Streams that stand elsewhere find out by their pages."""
        log.warning("stream.log_broken", project=self.feed.project_id, served=self.feed.cursor, goes_on_after=head)
        self.feed.restart(head)
        self._heard = head

    async def _deliver(self) -> None:
        for index, connection in enumerate(list(self.connections), 1):
            self._serve(connection)
            if index % AT_ONCE == 0:
                await asyncio.sleep(0)

    # --- Streams of one user -----------------------------------------------------------------------------------------

    async def _identify(self, *, beaten: bool) -> None:
        """Who has a profile by now; and with every beat, who has got another one, by a merge."""
        asking = [one for one in self.connections if one.identity is not None and (beaten or one.waiting)]
        if not asking:
            return
        found = await self._live.profiles(self.feed.project_id, {str(one.identity) for one in asking})
        oldest, head = await self._live.bounds(self.feed.project_id)
        for connection in asking:
            profile_id = found.get(str(connection.identity))
            if connection.view.profile_id == profile_id or connection.catching_up is not None:
                continue
            if not connection.waiting:  # what it has is no copy any more
                self._begin(connection, feed.reset(oldest, head))
            connection.view = View(connection.view.personas, profile_id)
            self._serve(connection)

    # --- The streams -------------------------------------------------------------------------------------------------

    def _serve(self, connection: Connection) -> None:
        """All that is in memory, at once; what is not, or what does not fit into the socket, by a task."""
        if connection.waiting:
            return
        while not connection.ended and connection.catching_up is None and connection.cursor != self.feed.cursor:
            if not self.feed.floor <= connection.cursor < self.feed.cursor:
                self._catch_up(connection, None)
            else:
                self._begin(connection, self.feed.piece(connection.cursor, connection.view))

    def _begin(self, connection: Connection, piece: Piece) -> None:
        if not connection.ended and connection.catching_up is None and not connection.push(piece):
            self._catch_up(connection, piece)

    def _catch_up(self, connection: Connection, first: Piece | None) -> None:
        connection.catching_up = spawn(self._caught_up(connection, first))

    async def _caught_up(self, connection: Connection, first: Piece | None) -> None:
        try:
            if first is not None:
                await connection.write(first)
            while connection.cursor != self.feed.cursor and not connection.waiting:
                await connection.write(await self._next(connection))
        except Exception:
            log.exception("stream.reader_failed", project=self.feed.project_id)
            connection.end(FAULT)
        finally:
            # Nothing awaits between the loop's last look and this: no delivery can fall in between.
            connection.catching_up = None

    async def _next(self, connection: Connection) -> Piece:
        """From memory if it reaches back far enough, else a page of the table."""
        cursor, view, top = connection.cursor, connection.view, self.feed.cursor
        if self.feed.floor <= cursor < top:
            return self.feed.piece(cursor, view)
        rows = await self._pages.after(self.feed.project_id, cursor, view.personas, PAGE, view.profile_id)
        # Asked after the rows: if they were pruned while we read, some may be missing from the page.
        oldest, head = await self._pages.bounds(self.feed.project_id)
        if cursor < oldest - 1 or cursor > top:
            return feed.reset(oldest, head)
        to = min(rows[-1].seq, top) if len(rows) == PAGE else top
        return joined([framed(row) for row in rows if row.seq <= to], view, to)
