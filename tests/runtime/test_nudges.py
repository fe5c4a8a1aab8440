"""On Redis, as inside PostgreSQL, a nudge is published only while none like it waits."""

import pytest
import redis
from celery import Celery
from pytest_django import Settings

from persona import broker
from persona.celery import App
from tests.keys.test_leases import server, url

__all__ = ["server", "url"]  # fixtures


@pytest.fixture
def app(url: str, settings: Settings) -> Celery:
    settings.CELERY_BROKER_URL = url
    broker._redis.cache_clear()
    own = App("nudges", broker=url, set_as_current=False)
    own.conf.task_routes = {"segments.drain": "live", "segments.sweep": "live"}
    own.conf.task_default_queue = "bulk"
    return own


def test_a_nudge_that_waits_is_not_sent_again(app: Celery, url: str) -> None:
    queues = redis.Redis.from_url(url)
    app.send_task("segments.sweep")
    for _ in range(5):
        app.send_task("segments.drain")
        app.send_task("segments.backfill")
    assert (queues.llen("live"), queues.llen("bulk")) == (2, 1)
    queues.delete("live")  # a worker has taken them
    app.send_task("segments.drain")
    assert queues.llen("live") == 1


def test_other_tasks_are_always_sent(app: Celery, url: str) -> None:
    for _ in range(3):
        app.send_task("segments.sweep")
    assert redis.Redis.from_url(url).llen("live") == 3


def test_a_redis_that_is_away_is_for_the_publisher_to_meet(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    assert broker.waits("live", "segments.drain") is False
