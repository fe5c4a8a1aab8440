"""What deliveries measure, by the kind of destination: no address and no name of a project is in a label."""

from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Histogram

from delivery.models import Attempt, Destination
from delivery.sending.wave import Result

DELIVERIES = Counter(
    "persona_deliveries_total", "Deliveries by what became of a try: delivered, retried or dead.", ["kind", "outcome"]
)
SECONDS = Histogram(
    "persona_delivery_request_seconds",
    "How long a receiver took to answer, or until it was given up.",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
PAUSED = Counter("persona_destination_pauses_total", "Destinations that were paused because nothing gets through.")

OUTCOMES = {
    Attempt.Status.DELIVERED.value: "delivered",
    Attempt.Status.WAITING.value: "retried",
    Attempt.Status.DEAD.value: "dead",
}


def count(destination: Destination, results: Sequence[Result], statuses: Iterable[str]) -> None:
    """One wave, once it is written down. statuses: what each of its deliveries has become."""
    for result in results:
        SECONDS.labels(destination.kind).observe(result.answer.ms / 1000)
    for status in statuses:
        DELIVERIES.labels(destination.kind, OUTCOMES[status]).inc()
