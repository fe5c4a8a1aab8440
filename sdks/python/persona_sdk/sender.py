"""The one thread that sends: batches in order, each until it is taken or refused for good."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone

import httpx

from persona_sdk.backoff import Backoff, retry_after
from persona_sdk.connection import Answer, Connection
from persona_sdk.options import MOST_EVENTS, Options
from persona_sdk.queue import Queue, Waiting
from persona_sdk.version import VERSION

INGEST = "/api/v2/pipeline/ingest"
LATER = frozenset({408, 425, 429})  # of those that say the client is wrong
TOO_LARGE = 413  # said by proxies, too
JOIN_SECONDS = 5.0
CONTEXT = json.dumps({"library": {"name": "persona-sdk", "version": VERSION}}).encode()
BATCH_REFUSED = frozenset({400, 415, 422})
log = logging.getLogger("persona_sdk")


class Sender:
    """`dropped(name, code)` for each event that is given up; `failed(code)` for what an operator should know."""

    def __init__(
        self,
        queue: Queue,
        options: Options,
        connection: Connection,
        *,
        dropped: Callable[[str, str], None],
        failed: Callable[[str], None],
    ) -> None:
        self._queue, self._options, self._connection = queue, options, connection
        self._dropped, self._failed = dropped, failed
        self._flush_at = min(options.flush_at, MOST_EVENTS)
        self._backoff = Backoff(options.retry_base_ms, options.retry_cap_ms)
        self._most = MOST_EVENTS  # events a request; halved while the server refuses batches as a whole
        self._flushing_to = 0  # everything up to this place leaves at once
        self._again = False  # the oldest batch was tried already: no waiting for company
        self._ended = False
        self._hurried = False  # no pause any longer
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """With the first event: a server that forks its workers before has no thread yet."""
        if self._thread is None:
            with self._queue.changed:
                if self._thread is None and not self._ended:
                    self._thread = threading.Thread(target=self._run, name="persona-sender", daemon=True)
                    self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Send what is queued now; True when all of it was taken or refused for good within the time."""
        with self._queue.changed:
            goal = self._queue.added
            self._flushing_to = max(self._flushing_to, goal)
            self._queue.changed.notify_all()
            return self._queue.changed.wait_for(lambda: self._queue.removed >= goal, max(seconds, 0))

    def end(self) -> None:
        """The thread ends with the request that is under way."""
        with self._queue.changed:
            self._ended = True
            self._queue.changed.notify_all()
        self._connection.abort()
        if self._thread is None:
            self._connection.client.close()
        elif threading.current_thread() is not self._thread:
            self._thread.join(JOIN_SECONDS)

    def hurry(self) -> None:
        """The pause after a failure ends: there is another key."""
        with self._queue.changed:
            self._hurried = True
            self._queue.changed.notify_all()

    # --- the thread ---

    def _run(self) -> None:
        with self._connection.client:
            while self._wait_for_work():
                batch = self._queue.first(self._most)
                if pause := self._try(batch) if batch else 0.0:
                    self._pause(pause)

    def _pause(self, seconds: float) -> None:
        with self._queue.changed:
            self._queue.changed.wait_for(lambda: self._ended or self._hurried, seconds)
            self._hurried = False

    def _wait_for_work(self) -> bool:
        """Until a batch is due. False at the end."""
        changed, interval = self._queue.changed, self._options.flush_interval_ms / 1_000
        with changed:
            changed.wait_for(lambda: len(self._queue) > 0 or self._ended)
            changed.wait_for(self._due, interval)
        return not self._ended

    def _due(self) -> bool:
        hurried = self._again or self._flushing_to > self._queue.removed
        return hurried or len(self._queue) >= self._flush_at or self._ended

    def _try(self, batch: Sequence[Waiting]) -> float:
        """One request. The seconds to wait before the next. Whatever happens, the one thread that sends goes on."""
        self._again, self._hurried = True, False
        try:
            return self._send(batch)
        except httpx.HTTPError:
            return self._backoff.seconds()
        except Exception:  # such as an address or a key that cannot be sent at all
            log.exception("events could not be sent")
            return self._backoff.seconds()

    def _send(self, batch: Sequence[Waiting]) -> float:
        seconds = self._options.timeout_ms / 1_000
        answer = self._connection.ask("POST", INGEST, seconds=seconds, content=_request(batch))
        status, code = answer.status, answer.code or _http_code(answer.status)
        if status // 100 == 2 and isinstance(answer.body.get("accepted"), int | float):
            self._taken(batch, answer)
            return 0.0
        if status == TOO_LARGE or (status in BATCH_REFUSED and answer.code):
            self._refused(batch, code)
            return 0.0
        if status < 500 and status not in LATER:  # a key or an address that is wrong, or not our server
            self._failed(code)
        return retry_after(answer.headers.get("retry-after")) or self._backoff.seconds()

    def _taken(self, batch: Sequence[Waiting], answer: Answer) -> None:
        self._again = False
        self._backoff.succeeded()
        self._most = min(self._most * 2, MOST_EVENTS)
        self._queue.remove(len(batch))
        for place, code in _errors(answer):
            if 0 <= place < len(batch):
                self._dropped(batch[place].name, code)

    def _refused(self, batch: Sequence[Waiting], code: str) -> None:
        """The server takes none of it: halve, until the one event that is to blame stands alone."""
        if len(batch) > 1:
            self._most = len(batch) // 2
            return
        self._queue.remove(1)
        self._dropped(batch[0].name, code)


def _request(batch: Sequence[Waiting]) -> bytes:
    sent_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    events: list[bytes] = [event.body for event in batch]
    return b'{"sentAt":"%b","context":%b,"batch":[%b]}' % (sent_at.encode(), CONTEXT, b",".join(events))


def _http_code(status: int) -> str:
    return "http.redirect" if status // 100 == 3 else f"http.{status}"


def _errors(answer: Answer) -> Iterator[tuple[int, str]]:
    errors = answer.body.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict) and isinstance(error.get("index"), int):
            code = error.get("code")
            yield error["index"], code if code and isinstance(code, str) else "event.refused"
