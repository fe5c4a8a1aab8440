"""Nothing lost, nothing twice, nothing out of order: slow readers, and a database that cuts its connections."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from keys.auth import resolve
from segments.streaming import follower, line
from segments.streaming.connection import Connection
from segments.streaming.feed import View
from segments.streaming.reader import Reader
from tests.stream.conftest import Listen
from tests.stream.listening import parse
from tests.stream.serving import DEADLINE, until
from tests.stream.shop import Shop


def test_a_slow_reader_gets_everything_once_and_in_order(shop: Shop, port: int, listen: Listen) -> None:
    """Its socket is full long before the end, and what it has not read leaves the memory of the server."""
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.settimeout(DEADLINE)
        slow.connect(("127.0.0.1", port))
        slow.sendall(_request(shop.pk, 0))
        quick = listen(shop.pk, last=0)
        for _ in range(60):
            shop.append(500)
        assert [frame.id for frame in quick.take(30_000)] == list(range(1, 30_001))
        assert _ids(slow, 30_000) == list(range(1, 30_001))


def _request(key: str, last: int) -> bytes:
    lines = ("GET / HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}", f"Last-Event-ID: {last}", "", "")
    return "\r\n".join(lines).encode()


def _ids(reading: socket.socket, last: int) -> list[int]:
    """The ids of all changes up to `last`, from a raw chunked response."""
    with reading.makefile("rb") as stream:
        while stream.readline().strip():
            pass
        body = b""
        while f"id: {last}\n".encode() not in body[-100_000:]:
            body += stream.read(int(stream.readline(), 16))
            stream.readline()
    blocks = [parse(block) for block in body.decode().split("\n\n") if block]
    return [block.id for block in blocks if block is not None and block.event == "segment.updated"]


def test_the_database_connections_are_cut(shop: Shop, listen: Listen, settings: Settings) -> None:
    settings.PERSONA_STREAM_HEARTBEAT = 0.3
    stream = listen(shop.pk)
    for round_ in range(1, 6):
        with connection.cursor() as cursor:
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        assert shop.append() == round_
        assert stream.next().id == round_
    assert listen(shop.pk, last=0).take(5)[-1].id == 5
    # The keys' connection was cut too.
    until(lambda: listen("pk_live_" + "x" * 32).status == 401, "keys to be looked up again")


def test_the_bells_line_comes_back_whatever_has_ended_it(db: None) -> None:
    heard: list[int] = []

    def on_bell(project_id: int, _: int) -> None:
        heard.append(project_id)
        if len(heard) == 1:
            raise LookupError("nobody has expected this")
        raise asyncio.CancelledError

    async def listening() -> None:
        async with asyncio.timeout(DEADLINE):
            await line.listen(on_bell)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(listening())
    assert heard == [line.EVERY, line.EVERY]


class Written:
    """The server's side of a stream. then: called after each write."""

    on_stop: Callable[[], None] | None = None

    def __init__(self, then: Callable[[], object]) -> None:
        self.chunks: list[bytes] = []
        self._then = then

    def push(self, chunk: bytes) -> bool:
        self.chunks.append(chunk)
        self._then()
        return True

    def finish(self, chunk: bytes, patience: float) -> None:
        raise AssertionError("nobody ends it")


async def nothing(_: Any) -> None:
    """What such a server never calls."""


def test_who_gives_up_opening_a_stream_takes_nothing_from_the_others(
    shop: Shop, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens one while there is something new hands it to everybody, and may be called off half-way."""
    monkeypatch.setattr(follower, "AT_ONCE", 1)
    principal = resolve(shop.pk)

    def appended() -> int:
        with closing(connection):  # of this thread
            return shop.append(ring=False)

    async def opened() -> None:
        readers = Reader(), Reader()
        following = follower.Follower(shop.project.pk, live=readers[0], pages=readers[1])
        await following.bounds()
        head = await asyncio.to_thread(appended)
        opening = asyncio.ensure_future(following.bounds())
        pipes = [Written(opening.cancel) for _ in range(3)]
        for pipe in pipes:
            following.join(Connection(send=nothing, pipe=pipe, principal=principal, view=View(), cursor=head - 1))
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(10):
            while not all(pipe.chunks for pipe in pipes):
                await asyncio.sleep(0.01)
        following.stop()
        for reader in readers:
            await reader.close()

    asyncio.run(opened())
