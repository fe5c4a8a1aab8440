"""What an application may set, and the limits that the server sets."""

from dataclasses import dataclass

MOST_EVENTS = 256  # in a request
MOST_BYTES = 1_000_000  # of a request; the server takes 1,048,576
MOST_EVENT_BYTES = 102_400
MOST_ANSWER = 1 << 20  # bytes of an answer, or of a frame, that are read


@dataclass(frozen=True)
class Options:
    """Times are in milliseconds.

    flush_at: so many events leave at once; flush_interval_ms: fewer leave after this time. max_queue: events kept
    while the server does not take them, max_queue_bytes: their bytes as JSON; beyond either the newest are refused
    (`queue.full`). timeout_ms: one request.
    retry_base_ms, retry_cap_ms: pauses after failures, doubling, each by chance between nothing and that.
    watchdog_ms: a stream on which nothing was heard for so long is opened again (heartbeats come every 15 s).
    """

    flush_at: int = 100
    flush_interval_ms: int = 1_000
    max_queue: int = 10_000
    max_queue_bytes: int = 32 << 20
    timeout_ms: int = 10_000
    retry_base_ms: int = 500
    retry_cap_ms: int = 30_000
    watchdog_ms: int = 45_000
