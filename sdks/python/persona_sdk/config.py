"""The project's configuration for SDKs, asked for again every `refreshAfter` seconds by a thread of its own."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from persona_sdk import sampling
from persona_sdk.connection import Connection
from persona_sdk.options import Options

CONFIG = "/api/v2/pipeline/config"
OK = 200
USUAL_SECONDS, LONGEST_SECONDS = 45.0, 86_400.0
JOIN_SECONDS = 5.0
log = logging.getLogger("persona_sdk")


class Config:
    """`flags` are the last that were heard; none before the first answer. `told(flags)` hears each change.

    `rate(name)`: the share of 1 of such events that is sent: of the first rule that names it, else that of all.
    """

    def __init__(self, connection: Connection, options: Options, *, told: Callable[[Mapping[str, Any]], None]) -> None:
        self.flags: Mapping[str, Any] = {}
        self.rate: Callable[[str], float] = sampling.everything
        self._connection, self._told = connection, told
        self._timeout = options.timeout_ms / 1_000
        self._etag = ""
        self._seconds = USUAL_SECONDS
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persona-config", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._connection.abort()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_SECONDS)

    # --- the thread ---

    def _run(self) -> None:
        with self._connection.client:
            while not self._ending.is_set():
                try:
                    self._refresh()
                except Exception:  # whatever it is: what was known goes on to hold
                    log.exception("the configuration could not be asked for")
                self._ending.wait(self._seconds)

    def _refresh(self) -> None:
        headers = {"If-None-Match": self._etag} if self._etag else {}
        try:
            answer = self._connection.ask("GET", CONFIG, seconds=self._timeout, headers=headers)
        except httpx.HTTPError:
            return  # no answer: what was known goes on to hold
        if answer.status == OK and isinstance(answer.body.get("flags"), dict):
            self._etag = answer.headers.get("etag", "")
            self._seconds = _positive(answer.body.get("refreshAfter"))
            self.flags = answer.body["flags"]
            self.rate = sampling.rates(answer.body)
            self._told(self.flags)


def _positive(value: object) -> float:
    """Seconds to the next request, where the answer gives them as a number."""
    return min(value, LONGEST_SECONDS) if isinstance(value, int | float) and value > 0 else USUAL_SECONDS
