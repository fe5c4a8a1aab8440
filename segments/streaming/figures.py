"""What the stream measures. The hot path counts in plain integers; `publish` hands them on once a second."""

from collections import Counter as Counts

from prometheus_client import Counter, Gauge

OPEN = Gauge("persona_stream_open", "Streams that are open now.", multiprocess_mode="livesum")
LAG = Gauge(
    "persona_stream_lag_changes",
    "How many changes the slowest feed is behind the head of its project's log, as far as the bell has told.",
    multiprocess_mode="livemax",
)
FRAMES = Counter("persona_stream_frames_total", "Changes written to streams, one for each stream.")
ENDED = Counter("persona_stream_ended_total", "Streams ended by the server; slow: a reader that did not read.", ["why"])
REFUSED = Counter("persona_stream_refused_total", "Requests for a stream or a ticket that were refused.", ["code"])


class Tally:
    """Counted since the last `publish`."""

    def __init__(self) -> None:
        self.frames = 0
        self.ended: Counts[str] = Counts()
        self.refused: Counts[str] = Counts()


tally = Tally()


def publish(*, streams: int, lag: int) -> None:
    """Set the gauges, and hand on what was counted."""
    OPEN.set(streams)
    LAG.set(lag)
    FRAMES.inc(tally.frames)
    tally.frames = 0
    for metric, counted in ((ENDED, tally.ended), (REFUSED, tally.refused)):
        for label, number in counted.items():
            metric.labels(label).inc(number)
        counted.clear()


def open_now() -> int:
    """Streams that are open in this process, of all projects."""
    return sum(int(sample.value) for metric in OPEN.collect() for sample in metric.samples)
