"""The bell over Redis, and what happens when Redis goes away. Skipped where there is no redis-server."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import django_eventstream.eventstream
import pytest
import redis
from pytest_django import Settings

from persona.settings import redis_arguments
from segments import bell
from tests.stack import free_port
from tests.stream.listening import Listening
from tests.stream.serving import served, until
from tests.stream.shop import Shop

PROGRAM = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="needs redis-server")


class Redis:
    """A throw-away server that can be stopped and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = [
            PROGRAM or "",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self.answers, "redis to start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def answers(self) -> bool:
        try:
            return bool(redis.Redis(port=self.port).ping())
        except redis.ConnectionError:
            return False

    def listeners(self) -> int:
        return int(redis.Redis(port=self.port).pubsub_numsub(bell.REDIS_CHANNEL)[0][1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    running = Redis(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def port(db: None, server: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server of its own, with the settings of an installation that has Redis."""
    settings.REDIS_URL = server.url
    # The library reads its setting when it is imported.
    monkeypatch.setattr(django_eventstream.eventstream, "redis_client", redis.Redis(**redis_arguments(server.url)))
    with served() as number:
        yield number


@needs_redis
def test_the_bell_rings_through_redis(shop: Shop, port: int, server: Redis) -> None:
    with Listening(port, shop.pk) as stream:
        until(lambda: server.listeners() == 1, "the bell's line")
        shop.append()
        assert stream.next().id == 1


@needs_redis
def test_without_redis_nothing_is_lost_and_it_is_said_once(
    shop: Shop, port: int, server: Redis, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PERSONA_STREAM_HEARTBEAT = 0.3
    with Listening(port, shop.pk) as stream:
        until(lambda: server.listeners() == 1, "the bell's line")
        server.stop()
        for _ in range(5):
            shop.append()
        assert [frame.id for frame in stream.take(5)] == [1, 2, 3, 4, 5]
        assert len([record for record in caplog.records if "bell.publishing.lost" in str(record.msg)]) == 1
        server.start()
        until(lambda: server.listeners() == 1, "the bell's line to come back")
        settings.PERSONA_STREAM_HEARTBEAT = 1_000
        stream.next("heartbeat")
        shop.append()
        assert stream.next().id == 6


@needs_redis
def test_what_nobody_understands_on_the_line_does_not_end_it(
    shop: Shop, port: int, server: Redis, settings: Settings
) -> None:
    """The channel has the library's name: any other program that uses it may speak there."""
    settings.PERSONA_STREAM_HEARTBEAT = 1_000
    with Listening(port, shop.pk) as stream:
        until(lambda: server.listeners() == 1, "the bell's line")
        redis.Redis(port=server.port).publish(bell.REDIS_CHANNEL, "what?")
        shop.append()
        assert stream.next().id == 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://:pw@cache:6380/2", {"host": "cache", "port": 6380, "db": 2, "password": "pw"}),
        ("rediss://cache", {"host": "cache", "ssl": True}),
        ("unix:///run/redis.sock", {"unix_socket_path": "/run/redis.sock"}),
    ],
)
def test_addresses(url: str, expected: dict[str, object]) -> None:
    arguments = redis_arguments(url)
    assert expected.items() <= arguments.items()
    redis.Redis(**arguments)
