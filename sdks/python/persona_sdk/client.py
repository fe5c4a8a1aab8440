"""The whole surface: what an application calls."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from persona_sdk import ending
from persona_sdk.config import Config
from persona_sdk.connection import Connection
from persona_sdk.event import SAMPLED, NotJson, build, encoded
from persona_sdk.options import MOST_EVENT_BYTES, MOST_EVENTS, Options
from persona_sdk.queue import FULL, Queue, Waiting
from persona_sdk.sampling import share
from persona_sdk.sender import Sender
from persona_sdk.stream import Change, Subscription

log = logging.getLogger("persona_sdk")
EXIT_MS = 5_000.0  # how long a program that ends waits for what it has tracked


class Persona:
    """Thread-safe; one for a program. `key`: a secret (sk_) or publishable (pk_) key; `url`: the server's address.

    `on_drop(name, code)`: an event was given up (refused by the server, too large, queue full, closed).
    `on_error(code)`: something an operator should know, such as a key that is refused; the events are kept.
    `on_flags(flags)`: the project's flags, at first and with every change; asked for with `config=True` alone, and
    so is the sample rate that the project sets. An exception of any of these goes to the log of `persona_sdk`.
    """

    def __init__(
        self,
        key: str,
        *,
        url: str = "http://127.0.0.1:8000",
        options: Options | None = None,
        on_drop: Callable[[str, str], object] | None = None,
        on_error: Callable[[str], object] | None = None,
        on_flags: Callable[[Mapping[str, Any]], object] | None = None,
        config: bool = False,
    ) -> None:
        self._key, self._url = key, url.rstrip("/")
        self._options = options or Options()
        self._on_drop, self._on_error, self._on_flags = on_drop, on_error, on_flags
        self._asks = config
        self._config: Config | None = None
        self._subscriptions: list[Subscription] = []
        self._closed = self._full = False
        self._start()
        ending.begin(self)

    def _start(self) -> None:
        options = self._options
        self._queue = Queue(options.max_queue, options.max_queue_bytes, min(options.flush_at, MOST_EVENTS))
        self._sender = Sender(self._queue, self._options, self._connection(), dropped=self._drop, failed=self._fail)
        if self._asks:
            self._config = Config(self._connection(), self._options, told=self._flagged)

    def _connection(self) -> Connection:
        return Connection(self._url, lambda: self._key)

    def set_key(self, key: str) -> None:
        """The next key of a rotation. What waits goes out with it at once."""
        self._key = key
        self._sender.hurry()

    @property
    def flags(self) -> dict[str, Any]:
        """The project's flags as last heard; empty before, and without `config=True`."""
        return dict(self._config.flags) if self._config else {}

    # --- events ---

    def track(
        self,
        event: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        **more: Any,
    ) -> bool:
        """Something happened. `more`: `timestamp` (a datetime), `context`, `message_id`. False when it was given up."""
        fields = {"event": event, "properties": dict(properties or {})}
        return self._put("track", event, fields, user_id=user_id, anonymous_id=anonymous_id, **more)

    def identify(self, user_id: str, traits: Mapping[str, Any] | None = None, **more: Any) -> bool:
        """Who somebody is: sets traits, and ties `anonymous_id` to the user."""
        return self._put("identify", "identify", {"traits": dict(traits or {})}, user_id=user_id, **more)

    def page(self, name: str, properties: Mapping[str, Any] | None = None, **more: Any) -> bool:
        """A page was seen."""
        return self._put("page", "page", {"name": name, "properties": dict(properties or {})}, **more)

    def alias(self, user_id: str, previous_id: str, **more: Any) -> bool:
        """`previous_id` is `user_id` from now on."""
        return self._put("alias", "alias", {"previousId": previous_id}, user_id=user_id, **more)

    def _put(self, kind: str, name: str, fields: Mapping[str, Any], **more: Any) -> bool:
        made = build(kind, fields, **more)
        if self._sampled_out(made):
            return True
        refusal = "client.closed" if self._closed else self._refusal(name, made)
        if refusal:
            self._drop(name, refusal)
        return refusal is None

    def _sampled_out(self, made: Mapping[str, Any]) -> bool:
        if self._config is None or made["type"] not in SAMPLED:
            return False
        rate = self._config.rate(str(made.get("event") or made["type"]))
        who = made.get("userId") or made.get("anonymousId") or made["messageId"]
        return rate < 1 and share(str(who)) >= rate

    def _refusal(self, name: str, made: Mapping[str, Any]) -> str | None:
        """Why it cannot wait with the others; None when it does."""
        try:
            body = encoded(made)
        except NotJson as error:
            log.warning("event %r cannot be sent: %s", name, error)
            return "event.not_json"
        if len(body) > MOST_EVENT_BYTES:
            return "event.too_large"
        refusal = self._queue.add(Waiting(name, body))
        self._sender.begin()
        self._full = self._full and refusal == FULL
        return refusal

    def flush(self, timeout_ms: float = 10_000) -> bool:
        """Send everything that was tracked before. True when it was taken (or refused for good) within the time."""
        return self._sender.flush(timeout_ms / 1_000)

    # --- changes ---

    def subscribe(
        self,
        on_change: Callable[[Change], object],
        *,
        personas: Sequence[str] = (),
        cursor: str | None = None,
        on_reset: Callable[[int, int], object] | None = None,
    ) -> Subscription:
        """Hear when profiles enter or leave these personas (all, if none is named), each change once and in order."""
        subscription = Subscription(
            self._connection(),
            self._options,
            personas,
            cursor=cursor,
            on_change=on_change,
            on_reset=on_reset or _ignored,
            on_error=self._fail,
            on_fault=lambda error: log.error("an error in a subscription", exc_info=error),
        )
        self._subscriptions = [*[one for one in self._subscriptions if not one.closed], subscription]
        return subscription

    # --- the end ---

    def close(self, timeout_ms: float = EXIT_MS) -> None:
        """Flush, end the subscriptions, leave no thread or socket behind. What could not be sent goes to `on_drop`."""
        if self._closed:
            return
        self._closed = True
        ending.end(self)
        for subscription in self._subscriptions:
            subscription.close()
        if self._config:
            self._config.end()
        self._sender.flush(timeout_ms / 1_000)
        self._sender.end()
        for event in self._queue.end():
            self._drop(event.name, "client.closed")

    def __enter__(self) -> "Persona":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drop(self, name: str, code: str) -> None:
        if not (self._full and code == FULL):  # once, not for each: it may be thousands a second
            log.warning("event %r was given up: %s", name, code)
        self._full = code == FULL
        self._tell(self._on_drop, name, code)

    def _fail(self, code: str) -> None:
        log.error("the server refuses: %s", code)
        self._tell(self._on_error, code)

    def _flagged(self, flags: Mapping[str, Any]) -> None:
        self._tell(self._on_flags, dict(flags))

    def _tell(self, callback: Callable[..., object] | None, *given: object) -> None:
        """Whatever the application does there, what goes on here does not end by it."""
        if callback is None:
            return
        try:
            callback(*given)
        except Exception:
            log.exception("a callback failed")

    def _forked(self) -> None:
        """In the child of a fork: threads and sockets are the parent's, and so are the events that wait."""
        self._subscriptions = []
        if not self._closed:
            self._start()


def _ignored(*_: object) -> None:
    """Of a subscriber that does not want to know."""
