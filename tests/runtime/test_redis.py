"""With REDIS_URL, the queue, the bell and the cache are Redis's."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from pytest_django import Settings

from persona import broker
from persona.cache import NeighborlyRedisCache
from persona.celery import app
from tests.stack import Stack, alive, free_port, wait_for


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        url = f"redis://127.0.0.1:{port}/0"
        try:
            wait_for(lambda: answers(url), "Redis", 20)
            yield url
        finally:
            server.terminate()


def answers(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url).ping())
    except redis.RedisError:
        return False


def test_redis_carries_the_queue(home: Path, redis_url: str) -> None:
    with Stack(home, REDIS_URL=redis_url, PERSONA_DEMO="0").from_nothing() as stack:
        with redis.Redis.from_url(redis_url) as client:
            assert len(client.client_list()) >= 4  # web, worker, bulk and beat; and this one
        with psycopg.connect(stack.database_url) as connection:
            assert connection.execute("select to_regclass('pgmq.meta')").fetchone() == (None,)
        assert alive(stack.kill("worker"))


def test_the_cache_clears_its_own_alone(redis_url: str) -> None:
    """The queue stands beside it."""
    cache = NeighborlyRedisCache(redis_url, {"KEY_PREFIX": "persona_cache"})
    cache.set("tries", 1)
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("live", "a task")
        cache.clear()
        assert client.keys() == [b"live"]
    assert cache.get("tries") is None


def test_a_message_that_nobody_can_read_is_none_that_waits(redis_url: str, settings: Settings) -> None:
    settings.CELERY_BROKER_URL = redis_url
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("live", "?")
        assert not broker.waits("live", "segments.sweep")
        client.rpush("live", '{"headers": {"task": "segments.sweep"}}')
        assert broker.waits("live", "segments.sweep")


def test_a_worker_whose_acknowledgement_is_lost_goes_on(redis_url: str) -> None:
    with app.connection_for_read(redis_url) as queue:
        waiting = queue.SimpleQueue("live")
        channel: Any = waiting.channel
        channel.basic_qos(0, 1, apply_global=False)
        app.send_task("segments.sweep", connection=queue)
        message: Any = waiting.get(timeout=60)
        assert not channel.qos.can_consume()
        with redis.Redis.from_url(redis_url) as client:
            client.shutdown(nosave=True)
        with pytest.raises(redis.RedisError):
            message.ack()
        assert channel.qos.can_consume()
