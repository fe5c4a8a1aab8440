"""How many events a second the writer stores: `python bench/apply.py`. Some seconds, in its own PostgreSQL with fsync.

Prints the events stored per second for batches of 256 and of 1, and how long a turn takes when one event waits.
"""

import argparse
import random
import statistics
import time
from typing import Any

import installation
import msgspec

USERS = 5_000


def event(number: int) -> dict[str, Any]:
    """A page view of a shop: 200 bytes; nine in ten by a known user, with the anonymous id of the device."""
    user = random.randrange(USERS)
    return {
        "type": "track",
        "event": random.choice(("page_viewed", "product_viewed", "cart_added", "order_placed")),
        "anonymousId": f"5f1c2d3e-aaaa-bbbb-cccc-{user:012d}",
        "messageId": f"message-{number}",
        "timestamp": "2026-06-09T10:14:05.123Z",
        "properties": {"path": "/checkout/thanks", "value": 4900 + number, "currency": "EUR", "items": 3},
        **({"userId": f"user_{user}"} if random.random() < 0.9 else {}),
    }


def fill(project: Any, first: int, batches: int, size: int) -> int:
    """Put batches into the inbox; the number of the next event."""
    from ingestion.models import Batch
    from persona.lib import ids

    rows = []
    for place in range(batches):
        events = [event(first + place * size + n) for n in range(size)]
        body = msgspec.json.encode({"batch": events, "sentAt": "2026-06-09T10:14:06Z"})
        rows.append(
            Batch(
                id=first + place + 1, project=project, batch_id=ids.batch_id(), dialect="pipeline", n=size,
                received_at=int(time.time() * 1_000), body=body,
            )
        )  # fmt: skip
    Batch.objects.bulk_create(rows)
    return first + batches * size


def drain() -> float:
    from ingestion.tasks import apply_some

    started = time.perf_counter()
    while apply_some():
        pass
    return time.perf_counter() - started


def run(events: int) -> None:
    from ingestion.models import Event
    from keys.models import Project

    project = Project.objects.create(slug="bench", name="Bench")
    number = fill(project, 0, 20, 256)
    drain()  # profiles, names and prepared statements are there from now on
    for size, batches in ((256, events // 256), (1, events // 4)):
        number = fill(project, number, batches, size)
        cpu, seconds = time.process_time(), drain()
        cpu = time.process_time() - cpu
        n = size * batches
        print(
            f"batches of {size:3}: {n / seconds:8,.0f} events/s stored   ({cpu / n * 1e6:.1f} us of Python per event)"
        )
    turns = []
    for _ in range(100):
        number = fill(project, number, 1, 1)
        turns.append(drain() * 1_000)
    centiles = statistics.quantiles(turns, n=100)
    print(
        f"one event waiting: p50 {centiles[49]:.2f} ms, p99 {centiles[98]:.2f} ms until committed, idle look included"
    )
    assert Event.objects.filter(project=project).count() == number


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    options = parser.parse_args()
    with installation.database():
        run(options.events)
