"""Nothing lost, nothing twice, nothing out of order: slow readers, crowds, reconnects, a database that goes away."""

import asyncio
import random
import socket
import threading

from django.db import connection, connections
from pytest_django import Settings

from segments.streaming.hub import open_streams
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


def test_a_reader_that_never_reads_is_cut_in_the_end(shop: Shop, port: int, settings: Settings) -> None:
    settings.PERSONA_STREAM_IDLE = 1
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stuck.settimeout(DEADLINE)
        stuck.connect(("127.0.0.1", port))
        shop.append(60_000)
        before = open_streams()
        stuck.sendall(_request(shop.pk, 0))
        until(lambda: open_streams() == before + 1, "the stream to open")
        until(lambda: open_streams() == before, "the stream to be cut")


def test_fifty_clients_that_come_and_go(shop: Shop, port: int, settings: Settings) -> None:
    """Two writers, bells lost now and then, every client reconnecting at random moments."""
    settings.PERSONA_STREAM_HEARTBEAT = 0.3
    rounds = 80

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(rounds):
            shop.append(chance.randint(1, 9), ring=chance.random() < 0.8)
        connections.close_all()

    def finish() -> None:
        for writer in writers:
            writer.join()
        end.append(shop.append(ring=False))
        connections.close_all()

    async def all_clients() -> list[list[int]]:
        async with asyncio.timeout(3 * DEADLINE):
            return await asyncio.gather(*(_client(shop.pk, port, random.Random(n), end) for n in range(50)))

    end: list[int] = []
    writers = [threading.Thread(target=write, args=(seed,)) for seed in (1, 2)]
    finishing = threading.Thread(target=finish)
    for thread in (*writers, finishing):
        thread.start()
    seen = asyncio.run(all_clients())
    finishing.join()
    assert all(ids == list(range(1, end[0] + 1)) for ids in seen)


async def _client(key: str, port: int, chance: random.Random, end: list[int]) -> list[int]:
    """The ids of all changes it was sent, over many connections, until it has been served up to the end."""
    seen: list[int] = []
    last = 0
    while [last] != end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_request(key, last))
        await reader.readuntil(b"\r\n\r\n")
        body = b""
        for _ in range(chance.randint(1, 12)):
            size = int(await reader.readline(), 16)
            body += (await reader.readexactly(size + 2))[:-2]
            *blocks, body = body.split(b"\n\n")
            frames = [frame for block in blocks if (frame := parse(block.decode())) is not None]
            seen += [frame.id for frame in frames if frame.event == "segment.updated"]
            last = frames[-1].id if frames else last
        writer.transport.abort()
    return seen


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
