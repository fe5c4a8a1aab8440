"""Send batches over a few kept connections, again and again until each is answered with a 202."""

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

Batch = list[dict[str, Any]]
INGEST = "/api/v2/pipeline/ingest"
BATCHES = "/api/v2/pipeline/batches/"
LATER = frozenset({429, 500, 502, 503, 504})
GIVE_UP = 120.0  # seconds for which a server may be away


class CannotSend(RuntimeError):
    """The server refuses what is sent, or is away for too long; one line for a person."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of an applied batch."""

    stored: int = 0
    duplicates: int = 0
    rejected: int = 0


class Connection:
    """One kept HTTP connection that asks again while the server is busy, away or restarting."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._http = make(parts.hostname or "127.0.0.1", parts.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """The JSON of a 2xx answer. Raises CannotSend."""
        deadline = time.monotonic() + GIVE_UP
        pause = 0.1
        while True:
            try:
                self._http.request(method, path, body, self._headers)
                response = self._http.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException) as error:
                self._http.close()
                problem, wait = f"{type(error).__name__}: {error}", pause
            else:
                if 200 <= response.status < 300:
                    return json.loads(text)
                problem = f"{response.status}: {text[:300].decode(errors='replace')}"
                if response.status not in LATER:
                    raise CannotSend(f"{method} {path} was refused with {problem}")
                wait = float(response.headers.get("Retry-After") or pause)
            if time.monotonic() > deadline:
                raise CannotSend(f"no good answer to {method} {path} for {GIVE_UP:.0f} s; the last one: {problem}")
            time.sleep(wait)
            pause = min(pause * 2, 5.0)


def send_all(
    batches: Iterable[Batch], *, url: str, key: str, connections: int, on_sent: Callable[[int], None]
) -> list[str]:
    """Send every batch once; the ids of the accepted batches. on_sent: the number of events of each, as they go.

    Raises CannotSend, after the other connections have stopped.
    """
    waiting: queue.Queue[Batch | None] = queue.Queue(maxsize=2 * connections)
    ids: list[str] = []
    failures: list[Exception] = []

    def work() -> None:
        connection = Connection(url, key)
        while (batch := waiting.get()) is not None:
            if failures:
                continue  # the feeder must never wait for a worker that has stopped
            try:
                answer = connection.ask("POST", INGEST, msgspec.json.encode({"batch": batch}))
                if answer.get("rejected"):
                    raise CannotSend(f"the server rejected {answer['errors'][0]}")
            except Exception as error:
                failures.append(error)
            else:
                ids.append(answer["batchId"])
                on_sent(len(batch))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for batch in batches:
        if failures:
            break
        waiting.put(batch)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return ids


def outcomes(ids: Iterable[str], *, url: str, key: str) -> Iterator[Outcome]:
    """What became of each batch, waiting until it is applied. Needs a secret key. Raises CannotSend."""
    connection = Connection(url, key)
    for batch_id in ids:
        deadline = time.monotonic() + GIVE_UP
        pause = 0.01
        while (answer := connection.ask("GET", BATCHES + batch_id))["status"] != "applied":
            if answer["status"] == "parked" or time.monotonic() > deadline:
                raise CannotSend(f"batch {batch_id} is {answer['status']}; see the batches in the admin")
            time.sleep(pause)
            pause = min(pause * 2, 0.5)
        yield Outcome(answer["stored"], answer["duplicates"], answer["rejected"])
