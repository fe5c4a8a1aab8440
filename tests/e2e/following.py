"""A reader of the stream that comes back with Last-Event-ID whenever it loses its connection, or cuts it itself."""

import http.client
import json
import random
import threading
import time
from contextlib import closing
from urllib.parse import urlsplit

from persona.lib.clock import parse_instant
from tests.e2e.calling import STREAM, Caller, Json
from tests.stack import wait_for

PAUSE = 0.05  # seconds before it comes back
SILENCE = 40.0  # seconds without even a heartbeat: then the connection is dead
CUT = 0.02  # how often it hangs up by itself, a frame


class Follower:
    """A thread. start: where it began to listen; changes: (id, data) of every change, as they came."""

    def __init__(self, caller: Caller, dice: random.Random) -> None:
        self.start_at: int | None = None
        self.changes: list[tuple[int, Json]] = []
        self.connections = 0
        self.last = 0
        self.heard_at = 0  # ms, when the newest change happened
        self.failure: Exception | None = None
        self._caller = caller
        self._dice = dice
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Returns when it listens."""
        self._thread.start()
        wait_for(lambda: self.start_at is not None or self.failure, "the stream to open")

    def stop_at(self, head: int) -> None:
        """When it has heard everything up to `head`. Raises what went wrong."""
        wait_for(lambda: self.failure or self.last >= head, f"the stream to reach {head}")
        self._stopped = True
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stopped:
                try:
                    self._listen()
                except (OSError, http.client.HTTPException):
                    time.sleep(PAUSE)
        except Exception as error:
            self.failure = error

    def _listen(self) -> None:
        address = urlsplit(self._caller.url)
        headers = {"Authorization": f"Bearer {self._caller.key}"}
        if self.start_at is not None:
            headers["Last-Event-ID"] = str(self.last)
        with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=SILENCE)) as connection:
            connection.request("GET", STREAM, headers=headers)
            response = connection.getresponse()
            if response.status == 503:
                raise http.client.HTTPException(response.read())
            assert response.status == 200, response.read()
            self.connections += 1
            while (block := _block(response)) and not self._stopped:
                self._hear(block)
                if self._dice.random() < CUT:
                    return

    def _hear(self, block: list[str]) -> None:
        fields = dict(line.split(": ", 1) for line in block if not line.startswith(":"))
        if "id" not in fields:
            return  # a comment, or how long to wait
        assert fields["event"] in ("segment.updated", "heartbeat"), block
        self.last = int(fields["id"])
        if self.start_at is None:
            self.start_at = self.last
        if fields["event"] == "segment.updated":
            data = json.loads(fields["data"])
            self.changes.append((self.last, data))
            self.heard_at = max(self.heard_at, parse_instant(data["at"]) or 0)


def _block(response: http.client.HTTPResponse) -> list[str]:
    """The lines up to the next empty one. What a lost connection leaves half said was never said: nothing then."""
    lines: list[str] = []
    while (line := response.readline()).endswith(b"\n"):
        if line == b"\n":
            return lines
        lines.append(line.decode().rstrip("\n"))
    return []
