"""A real uvicorn with the stream alone, on a thread of the test process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.config import HTTPProtocolType

from keys.auth import ring
from persona.lib.wire import Receive, Scope, Send
from persona.serving.deadlines import PunctualProtocol
from segments.streaming import desk, route
from tests.waiting import DEADLINE, until

__all__ = ["DEADLINE", "served", "until"]


async def both(scope: Scope, receive: Receive, send: Send) -> None:
    """The stream and its desk."""
    app = desk.DESK.app if scope["path"].rstrip("/").endswith("/tickets") else route.app
    await app(scope, receive, send)


@contextmanager
def served(http: type[asyncio.Protocol] | HTTPProtocolType = PunctualProtocol, *, port: int = 0) -> Iterator[int]:
    """The port of a running server."""
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    config = uvicorn.Config(
        both,
        http=http,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=int(DEADLINE),  # streams end by themselves
        access_log=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until(lambda: server.started, "the server's start")
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        ring.close()  # its thread holds a connection to the test database
