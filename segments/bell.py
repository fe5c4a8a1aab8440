"""The bell: "project p has changes up to n", from whoever writes the log to whoever follows it.

It carries nothing that is not in the log. A bell that is lost costs its listeners a heartbeat, never a change.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django_eventstream import send_event
from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from segments import reader
from segments.outage import Outage

NOTIFICATION = "persona_bell"  # of PostgreSQL
REDIS_CHANNEL = "events_channel"  # where send_event publishes
PREFIX = "bell-"  # of its channel for a project
EVERY = 0  # instead of a project: bells may have been missed, look at all
ONCE = Retry(NoBackoff(), 0)  # `listen` comes back by itself
PAUSES = (0.1, 0.25, 0.5, 1.0, 2.0)

_publishing = Outage("bell.publishing")


def ring(project_id: int, seq: int) -> None:
    """When the transaction at hand commits, say that the project's log now reaches to `seq`."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("bell.ring belongs into the transaction that writes the log")
    if settings.REDIS_URL:
        transaction.on_commit(partial(_publish, project_id, seq), robust=True)
    else:
        with connection.cursor() as cursor:
            cursor.execute("select pg_notify(%s, %s)", [NOTIFICATION, f"{project_id}:{seq}"])


def _publish(project_id: int, seq: int) -> None:
    try:
        send_event(f"{PREFIX}{project_id}", "bell", seq)
    except (RedisError, OSError) as error:
        _publishing.failed(error)
    else:
        _publishing.over()


async def listen(on_bell: Callable[[int], None]) -> None:
    """Calls on_bell(project_id) at every bell, and on_bell(EVERY) whenever the line is (again) up. Never returns."""
    bells = _published if settings.REDIS_URL else _notified
    outage = Outage("bell.line")
    attempt = 0
    while True:
        try:
            async with aclosing(bells()) as heard:
                async for project_id in heard:
                    outage.over()
                    attempt = 0
                    on_bell(project_id)
        except (RedisError, *reader.LOST) as error:
            outage.failed(error)
        await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
        attempt += 1


async def _notified() -> AsyncGenerator[int]:
    async with await reader.connect() as line:
        await line.execute(f"listen {NOTIFICATION}")
        yield EVERY
        async for notification in line.notifies():
            project_id = notification.payload.partition(":")[0]
            if project_id.isdecimal():
                yield int(project_id)


async def _published() -> AsyncGenerator[int]:
    async with (
        Redis.from_url(settings.REDIS_URL, health_check_interval=15, retry=ONCE) as redis,
        redis.pubsub() as line,
    ):
        await line.subscribe(REDIS_CHANNEL)
        async for message in line.listen():
            if message["type"] == "subscribe":
                yield EVERY
            elif message["type"] == "message":
                project_id = json.loads(message["data"])["channel"].removeprefix(PREFIX)
                if project_id.isdecimal():
                    yield int(project_id)
