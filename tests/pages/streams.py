"""A streamed answer, as the web process sends it."""

import asyncio
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient, Client


def fetched(client: Client, address: str) -> list[bytes]:
    """The pieces of the answer, under ASGI, for whoever is signed in at `client`."""
    return asyncio.run(_fetched(client, address))


async def _fetched(client: Client, address: str) -> list[bytes]:
    asker = AsyncClient()
    asker.cookies = client.cookies
    answer: Any = await asker.get(address)
    assert answer.streaming
    assert answer.is_async
    parts = [part async for part in answer.streaming_content]
    await sync_to_async(connections.close_all)()  # of the thread that has answered
    return parts
