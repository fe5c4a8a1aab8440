"""Nothing lost, nothing twice, nothing out of order: slow readers, and a database that cuts its connections."""

import socket

from django.db import connection
from pytest_django import Settings

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
