"""Events that wait to be sent, and the lock under which threads meet."""

import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice

from persona_sdk.options import MOST_BYTES, MOST_EVENTS

FULL = "queue.full"
ENVELOPE = 256  # bytes around the events of a request


@dataclass(frozen=True)
class Waiting:
    """One event, encoded once. `name` is for the application's eyes."""

    name: str
    body: bytes


class Queue:
    """Bounded; one sender takes from it, any thread adds.

    `changed` is notified when something leaves, when the first event comes, and when `full_at` of them wait: to wake
    the sender for each would cost more than the event.
    """

    def __init__(self, most: int, most_bytes: int, full_at: int) -> None:
        self.changed = threading.Condition()
        self._most, self._most_bytes, self._full_at = most, most_bytes, full_at
        self._bytes = 0
        self._ended = False
        self._events: deque[Waiting] = deque()
        self.added = self.removed = 0  # counters of all time: what a flush waits for

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: Waiting) -> str | None:
        """Why it does not wait with the others: `queue.full` or `client.closed`; None when it does."""
        with self.changed:
            if self._ended:
                return "client.closed"
            size = self._bytes + len(event.body)
            if len(self._events) >= self._most or size > self._most_bytes:
                return FULL
            self._events.append(event)
            self._bytes = size
            self.added += 1
            if len(self._events) in (1, self._full_at):
                self.changed.notify_all()
            return None

    def first(self, most: int = MOST_EVENTS) -> list[Waiting]:
        """The oldest events that fit into one request. They stay here until `remove`."""
        with self.changed:
            batch: list[Waiting] = []
            size = ENVELOPE
            for event in islice(self._events, min(most, MOST_EVENTS)):
                size += len(event.body) + 1
                if batch and size > MOST_BYTES:
                    break
                batch.append(event)
            return batch

    def remove(self, count: int) -> None:
        """The oldest `count` are done with."""
        with self.changed:
            for _ in range(count):
                self._bytes -= len(self._events.popleft().body)
            self.removed += count
            self.changed.notify_all()

    def end(self) -> list[Waiting]:
        """Takes nothing more, and gives up what is left."""
        with self.changed:
            self._ended = True
            left = list(self._events)
            self.remove(len(left))
            return left
