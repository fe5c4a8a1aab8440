"""Waiting for what a working product reaches soon. Nothing here sleeps a fixed time and hopes."""

import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE = 60.0  # seconds; generous, because only a failure waits so long

T = TypeVar("T")


def until(condition: Callable[[], T | None], what: str, seconds: float = DEADLINE) -> T:
    """The first thing that `condition` gives that is neither None nor false."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.01)
    return found
