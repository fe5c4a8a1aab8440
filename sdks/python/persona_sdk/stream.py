"""A subscription: one open stream, opened again behind the last id whenever it ends."""

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import httpx

from persona_sdk.backoff import Backoff, retry_after
from persona_sdk.connection import Connection, answer_of
from persona_sdk.frames import EndlessFrame, Frame, Parser
from persona_sdk.options import Options

STREAM = "/api/v2/pipeline/stream"
JOIN_SECONDS = 5.0
FOR_GOOD = frozenset({400, 401, 403, 404})


@dataclass(frozen=True)
class Change:
    """One profile entered or left one persona. `data` is everything the server said, later additions included."""

    seq: int
    profile: str
    persona: str
    op: Literal["enter", "leave"]
    data: dict[str, Any]


class Subscription:
    """Calls `on_change` in order, each change once, from a thread of its own, until `close`.

    `cursor`: the id behind which to begin (the `cursor` of a subscription that has ended); None: from now on.
    `on_reset(oldest, head)`: the changes between are lost, copies of the members must be read anew.
    `on_error(code)`: the server refuses for good (unknown persona, revoked key); the subscription has ended.
    An exception of `on_change` ends nothing: it goes to `on_fault`.
    """

    def __init__(
        self,
        connection: Connection,
        options: Options,
        personas: Sequence[str],
        *,
        cursor: str | None,
        on_change: Callable[[Change], object],
        on_reset: Callable[[int, int], object],
        on_error: Callable[[str], object],
        on_fault: Callable[[Exception], object],
    ) -> None:
        self.cursor = cursor
        self._connection, self._options = connection, options
        self._personas = list(personas)
        self._on_change, self._on_reset, self._on_error, self._on_fault = on_change, on_reset, on_error, on_fault
        self._backoff = Backoff(options.retry_base_ms, options.retry_cap_ms)
        self._ending = threading.Event()
        self._told = -1  # the last sequence number that the application has heard
        self._thread = threading.Thread(target=self._run, name="persona-stream", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No call comes after this, unless it is made from within one."""
        self._ending.set()
        self._connection.abort()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_SECONDS)

    @property
    def closed(self) -> bool:
        return not self._thread.is_alive()

    # --- the thread ---

    def _run(self) -> None:
        with self._connection.client:
            while not self._ending.is_set():
                try:
                    pause = self._listen()
                except (httpx.HTTPError, EndlessFrame):
                    pause = self._backoff.seconds()
                except Exception as error:  # such as a key that cannot be sent at all: a later one may
                    self._on_fault(error)
                    pause = self._backoff.seconds()
                if pause is None:
                    return
                self._ending.wait(pause)

    def _listen(self) -> float | None:
        """One connection. The seconds before the next, None when there is to be none."""
        watchdog = self._options.watchdog_ms / 1_000
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self.cursor} if self.cursor is not None else {})}
        timeout = httpx.Timeout(self._options.timeout_ms / 1_000, read=watchdog)
        personas = {"persona": self._personas}
        with closing(
            self._connection.open("GET", STREAM, params=personas, headers=headers, timeout=timeout)
        ) as response:
            if response.is_success and "event-stream" in response.headers.get("content-type", ""):
                self._read(response)
                return self._backoff.seconds()
            answer = answer_of(response, monotonic() + self._options.timeout_ms / 1_000)
        if answer.status in FOR_GOOD and answer.code:
            self._call(self._on_error, answer.code)
            return None
        return retry_after(answer.headers.get("retry-after")) or self._backoff.seconds()  # for now, or not our server

    def _read(self, response: httpx.Response) -> None:
        parser = Parser()
        for piece in response.iter_bytes():
            for frame in parser.feed(piece):
                if self._ending.is_set():
                    return
                self._hear(frame)

    def _hear(self, frame: Frame) -> None:
        self._backoff.succeeded()
        try:
            self._understand(frame)
        except (
            ValueError,
            KeyError,
            TypeError,
            RecursionError,
        ) as error:  # not what this server sends: what follows still counts
            self._on_fault(error)
        if _is_place(frame.id):  # behind the call: what the application has not seen comes again
            self.cursor = frame.id

    def _understand(self, frame: Frame) -> None:
        """Raises ValueError, KeyError, TypeError."""
        if frame.event == "reset":
            place = json.loads(frame.data)
            oldest, head = _whole(place["oldest"]), _whole(place["head"])
            self._told = oldest - 1
            self._call(self._on_reset, oldest, head)
        elif frame.event == "segment.updated" and frame.id is not None and _is_place(frame.id):
            self._tell(int(frame.id), json.loads(frame.data))

    def _tell(self, seq: int, data: dict[str, Any]) -> None:
        if seq <= self._told:
            return
        change = Change(seq, data["profile"], data["persona"], data["op"], data)
        if not all(isinstance(text, str) for text in (change.profile, change.persona, change.op)):
            raise TypeError("a change in other words than the server's")
        self._told = seq
        self._call(self._on_change, change)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception as error:
            self._on_fault(error)


def _is_place(name: str | None) -> bool:
    return bool(name and name.isascii() and name.isdecimal())


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a reset in other words than the server's")
    return value
