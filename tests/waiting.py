"""Waiting for what a working product reaches soon. Nothing here sleeps a fixed time and hopes."""

import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE = 60.0  # seconds; generous, because only a failure waits so long
OFTEN, SELDOM = 0.01, 0.1  # seconds between two looks: at first, and at last
PART = 0.1  # of the time that it has taken already: to look may cost a server more than what is waited for

T = TypeVar("T")


def until(condition: Callable[[], T | None], what: str, seconds: float = DEADLINE) -> T:
    """The first thing that `condition` gives that is neither None nor false."""
    begun = time.monotonic()
    while not (found := condition()):
        if (waited := time.monotonic() - begun) > seconds:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(min(max(OFTEN, PART * waited), SELDOM))
    return found
