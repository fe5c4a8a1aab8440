"""A real uvicorn with the stream alone, on a thread of the test process."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from keys.auth import ring
from segments.streaming import route

DEADLINE = 20.0  # seconds until a test that waits for something gives up


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that a working product reaches soon."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)


@contextmanager
def served() -> Iterator[int]:
    """The port of a running server."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(route.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, access_log=False)
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
