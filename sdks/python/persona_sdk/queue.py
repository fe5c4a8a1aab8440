"""Events that wait to be sent, and the lock under which threads meet."""

import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice

from persona_sdk.options import MOST_BYTES, MOST_EVENTS

ENVELOPE = 256  # bytes around the events of a request


@dataclass(frozen=True)
class Waiting:
    """One event, encoded once. `name` is for the application's eyes."""

    name: str
    message_id: str
    body: bytes


class Queue:
    """Bounded; one sender takes from it, any thread adds. `changed` is notified with every change."""

    def __init__(self, most: int) -> None:
        self.changed = threading.Condition()
        self._most = most
        self._events: deque[Waiting] = deque()
        self.added = self.removed = 0  # counters of all time: what a flush waits for

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: Waiting) -> bool:
        """False when it is full."""
        with self.changed:
            if len(self._events) >= self._most:
                return False
            self._events.append(event)
            self.added += 1
            self.changed.notify_all()
            return True

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
                self._events.popleft()
            self.removed += count
            self.changed.notify_all()

    def clear(self) -> list[Waiting]:
        """Everything that is left."""
        with self.changed:
            left = list(self._events)
            self.remove(len(left))
            return left
