"""The line over which a process hears the bells of `segments.bell`."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from persona.lib.outage import Outage
from segments import bell
from segments.streaming import reader

EVERY = 0  # instead of a project: bells may have been missed, look at all
ONCE = Retry(NoBackoff(), 0)  # `listen` comes back by itself
Bell = tuple[int, int]  # project and number
PAUSES = (0.1, 0.25, 0.5, 1.0, 2.0)


async def listen(on_bell: Callable[[int, int], None]) -> None:
    """Calls on_bell(project_id, seq) at every bell, on_bell(EVERY, 0) whenever the line is (again) up. Never ends."""
    bells = _published if settings.REDIS_URL else _notified
    outage = Outage("bell.line")
    attempt = 0
    while True:
        try:
            async with aclosing(bells()) as heard:
                async for project_id, seq in heard:
                    outage.over()
                    attempt = 0
                    on_bell(project_id, seq)
        except Exception as error:
            # Whatever it is (a standby cannot listen): without bells each change is seconds late.
            outage.failed(error)
        await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
        attempt += 1


async def _notified() -> AsyncGenerator[Bell]:
    async with await reader.connect() as line:
        await line.execute(f"listen {bell.NOTIFICATION}")
        yield EVERY, 0
        async for notification in line.notifies():
            project_id, _, seq = notification.payload.partition(":")
            if project_id.isdecimal() and seq.isdecimal():
                yield int(project_id), int(seq)


async def _published() -> AsyncGenerator[Bell]:
    async with (
        Redis.from_url(settings.REDIS_URL, health_check_interval=15, retry=ONCE) as redis,
        redis.pubsub() as line,
    ):
        await line.subscribe(bell.REDIS_CHANNEL)
        async for message in line.listen():
            if message["type"] == "subscribe":
                yield EVERY, 0
            elif message["type"] == "message" and (told := _told(message["data"])) is not None:
                yield told


def _told(text: bytes) -> Bell | None:
    """None: it is no bell of ours. The channel has the library's name, and others may speak there."""
    try:
        told = json.loads(text)
        return int(told["channel"].removeprefix(bell.PREFIX)), int(told["data"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
