"""Clients that come and go, writers, bells that are lost, servers that go away: what must nevertheless be true.

Used small by the tests and long by `bench/stream_faults.py`.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.db import Error, connection

from segments.models import Persona
from tests.stream.listening import Frame, parse
from tests.stream.shop import Shop

ROWS = """
select c.seq, s.slug, c.op from segments_change c
join segments_persona s on s.project_id = c.project_id and s.id = c.persona_id
where c.project_id = %s and not c.silent order by c.seq
"""
PAUSE = 0.1  # seconds before a client comes back to a server that is not there
PATIENCE = 120.0  # seconds without reaching the end: something is lost
RARELY = 0.005  # how often the rare persona changes


class Wish(NamedTuple):
    """What a client listens to: the query of its address, and the personas that it must be told of, None for all."""

    query: str
    personas: frozenset[str] | None


WISHES = (
    Wish("", None),
    Wish("?persona=high_intent", frozenset({"high_intent"})),
    Wish("?persona=churner", frozenset({"churner"})),
    Wish("?persona=churner&persona=high_intent", frozenset({"churner", "high_intent"})),
    Wish("?persona=rare", frozenset({"rare"})),
)


class Row(NamedTuple):
    """A row of the log, as it must be told."""

    seq: int
    persona: str
    op: str


class Client:
    """Reads frames from one of several servers, hangs up at random, and comes back with the last id it saw."""

    def __init__(self, ports: Sequence[int], key: str, wish: Wish, *, chance: random.Random, stay: float) -> None:
        self.wish = wish
        self.told: list[Frame] = []
        self.connections = 0
        self.refusals = 0
        self.resets = 0
        self.last = 0
        self._ports = ports
        self._key = key
        self._chance = chance
        self._stay = stay

    async def listen(self, end: Callable[[], int | None]) -> None:
        """Until it has been served up to `end()`, once that is known."""
        while end() is None or self.last < (end() or 0):
            try:
                await self._connection()
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await asyncio.sleep(PAUSE)

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._chance.choice(self._ports))
        try:
            writer.write(self._request())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head[:20]:
                self.refusals += 1
                raise ConnectionRefusedError(head)
            self.connections += 1
            async with asyncio.timeout(self._chance.expovariate(1 / self._stay)):
                await self._frames(reader)
        except TimeoutError:
            pass  # it hangs up, wherever it is
        finally:
            writer.transport.abort()

    def _request(self) -> bytes:
        lines = (
            f"GET /api/v2/pipeline/stream{self.wish.query} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {self._key}",
            f"Last-Event-ID: {self.last}",
        )
        return "\r\n".join((*lines, "", "")).encode()

    async def _frames(self, reader: asyncio.StreamReader) -> None:
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
            *blocks, body = body.split(b"\n\n")
            for frame in filter(None, (parse(block.decode()) for block in blocks)):
                self._hear(frame)
        raise ConnectionResetError("ended by the server")

    def _hear(self, frame: Frame) -> None:
        self.resets += frame.event == "reset"
        if frame.event == "segment.updated":
            self.told.append(frame)
        assert frame.id >= self.last or frame.event == "reset", f"{frame} after {self.last}"
        self.last = frame.id

    def faults(self, rows: Sequence[Row]) -> list[str]:
        """What is lost, told twice, out of order or wrong; the rows are the whole log."""
        expected = [row for row in rows if self.wish.personas is None or row.persona in self.wish.personas]
        got = [Row(frame.id, frame.data["persona"], frame.data["op"]) for frame in self.told]
        if got == expected and not self.resets:
            return []
        ids = [row.seq for row in got]
        lost, twice = set(expected) - set(got), len(ids) - len(set(ids))
        disordered = sum(one > other for one, other in itertools.pairwise(ids))
        figures = {"lost": len(lost), "twice": twice, "disordered": disordered, "resets": self.resets}
        return [f"{self.wish.query or 'all'}: {json.dumps(figures)}"]


async def all_of(clients: Sequence[Client], end: Callable[[], int | None]) -> None:
    """Let them listen until each has heard everything. Raises TimeoutError PATIENCE seconds after the end is known."""

    async def watch() -> None:
        while end() is None:
            await asyncio.sleep(0.1)
        since = time.monotonic()
        while time.monotonic() - since < PATIENCE:
            await asyncio.sleep(0.1)
        raise TimeoutError([(client.wish.query, client.last) for client in clients if client.last < (end() or 0)])

    watching = asyncio.create_task(watch())
    listening = asyncio.ensure_future(asyncio.gather(*(client.listen(end) for client in clients)))
    both: list[asyncio.Future[Any]] = [watching, listening]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if watching.done():
        watching.result()
    watching.cancel()
    await listening


def write(
    shop: Shop,
    rare: Persona,
    chance: random.Random,
    goes_on: Callable[[], bool],
    *,
    lost_bells: float,
    pause: float = 0,
) -> None:
    """Changes of three personas, one of them rarely, in transactions of one to nine, while `goes_on`."""
    while goes_on():
        persona = rare if chance.random() < RARELY else chance.choice([shop.high_intent, shop.churner])
        try:
            shop.append(
                chance.randint(1, 9),
                persona=persona,
                op=chance.choice(["enter", "leave"]),
                silent=chance.random() < 0.05,
                ring=chance.random() >= lost_bells,
            )
        except Error:  # the database was stopped: what was committed is in the log, what was not is not
            connection.close()
            time.sleep(PAUSE)
        time.sleep(pause)
    connection.close()


def rows_of(shop: Shop) -> list[Row]:
    """The whole log, silent rows left out."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS, [shop.project.pk])
        return [Row(*row) for row in cursor.fetchall()]
