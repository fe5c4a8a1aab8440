"""A client that never gives up: it sends batches over HTTP, each until it is acknowledged, and remembers which were."""

import http.client
import random
import threading
import time
from collections import Counter

from persona.lib.clock import rfc3339
from tests.e2e.calling import Caller, Json

DAY = 86_400_000
AGES = (0, 0, 0, 30, 900, 5_000, 2 * DAY)  # ms that an event is old when it is sent
NAMES = ("viewed",) * 10 + ("bought",) * 6 + ("complained",)
PEOPLE = 20  # at a time; a new one comes for every STAY batches, so that each has about 40 events in the end
STAY = 5
LATER = frozenset({429, 503})
PAUSE = 0.05  # seconds before an unanswered batch is sent again
GIVE_UP = 90.0  # seconds for which the server may be away


class Writer:
    """A thread. acknowledged: every event that was answered with 202, once; answers: how often what was answered."""

    def __init__(self, caller: Caller, *, name: str, dice: random.Random, pace: float) -> None:
        self.name = name
        self.acknowledged: list[Json] = []
        self.answers: Counter[str] = Counter()
        self.batches = 0
        self.failure: Exception | None = None
        self._caller = caller
        self._dice = dice
        self._pace = pace
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the batch under way, however long that takes. Raises what went wrong."""
        self._stopped.set()
        self._thread.join(GIVE_UP + 30)
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stopped.wait(self._pace):
                events = [self._event(number) for number in range(self._dice.randint(1, 15))]
                self._send(events)
                self.acknowledged += events
                self.batches += 1
                if self._dice.random() < 0.05:
                    self._send(events)  # as if the answer had been lost on its way
        except Exception as error:
            self.failure = error

    def _event(self, number: int) -> Json:
        dice = self._dice
        person = self.batches // STAY + dice.randrange(PEOPLE)
        user, device = {"userId": f"{self.name}-user-{person}"}, {"anonymousId": f"{self.name}-device-{person}"}
        return {
            "type": "track",
            "event": dice.choice(NAMES),
            "messageId": f"{self.name}-{self.batches}-{number}",
            "timestamp": rfc3339(time.time_ns() // 1_000_000 - dice.choice(AGES)),
            "properties": {"value": dice.randint(1, 9)},
            **dice.choice((user, user, device, user | device)),
        }

    def _send(self, events: list[Json]) -> None:
        deadline = time.monotonic() + GIVE_UP
        while (answer := self._answer(events)) != "202":
            if time.monotonic() > deadline:
                raise AssertionError(f"not acknowledged for {GIVE_UP} s; the last answer: {answer}")
            time.sleep(PAUSE)

    def _answer(self, events: list[Json]) -> str:
        """The status, or the name of what broke the connection."""
        try:
            got = self._caller.ingest(*events)
        except (OSError, http.client.HTTPException) as error:
            answer = type(error).__name__
        else:
            if got.status not in LATER:
                assert got.status == 202, got
                assert got.json()["accepted"] == len(events), got.body
            answer = str(got.status)
        self.answers[answer] += 1
        return answer
