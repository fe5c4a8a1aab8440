"""The project's configuration for SDKs, asked for again every `refreshAfter` seconds by a thread of its own."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from persona_sdk.connection import Connection
from persona_sdk.options import Options

CONFIG = "/api/v2/pipeline/config"
USUAL_SECONDS = 45.0
JOIN_SECONDS = 5.0


class Config:
    """`flags` are the last that were heard; none before the first answer. `told(flags)` hears each change."""

    def __init__(self, connection: Connection, options: Options, *, told: Callable[[Mapping[str, Any]], None]) -> None:
        self.flags: Mapping[str, Any] = {}
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
                self._refresh()
                self._ending.wait(self._seconds)

    def _refresh(self) -> None:
        headers = {"If-None-Match": self._etag} if self._etag else {}
        try:
            response = self._connection.get(CONFIG, headers=headers, timeout=self._timeout)
            answer = response.json() if response.is_success else None
        except (httpx.HTTPError, ValueError):
            return  # no answer: what was known goes on to hold
        if isinstance(answer, dict) and isinstance(answer.get("flags"), dict):
            self._etag = response.headers.get("etag", "")
            self._seconds = float(answer.get("refreshAfter") or USUAL_SECONDS)
            self.flags = answer["flags"]
            self._told(self.flags)
