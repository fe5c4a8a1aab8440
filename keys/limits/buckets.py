"""Rate limits: token buckets in this process's memory. A key is charged one token for each event; at the management API
each key and each person one for each request."""

import math
import threading
import time
from collections.abc import Callable

import msgspec

from keys.installation import installation
from keys.principal import Principal
from persona.lib.problems import Problem

CAPACITY = 10_000

Account = int | str  # whose bucket: a key's id for its events, a word for anything else


class Verdict(msgspec.Struct, frozen=True):
    """limit: tokens at once; remaining: of them, now; reset: seconds until all are back;
    retry_after: seconds until this request would pass (0 when it passed). No limit at all: limit 0."""

    ok: bool
    limit: int
    remaining: int
    reset: int
    retry_after: int

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The RateLimit-* lines of the answer; none when there is no limit."""
        if not self.limit:
            return ()
        return (
            ("ratelimit-limit", str(self.limit)),
            ("ratelimit-remaining", str(self.remaining)),
            ("ratelimit-reset", str(self.reset)),
        )

    def problem(self, what: str = "events than this key may send") -> Problem | None:
        """The refusal of a request that did not pass. what: there is too much of."""
        if self.ok:
            return None
        detail = f"More {what}: at once {self.limit}, then as its rate allows."
        return Problem(429, "rate.limited", detail, retry_after=self.retry_after)


UNLIMITED = Verdict(ok=True, limit=0, remaining=0, reset=0, retry_after=0)


class Limiter:
    """At most `capacity` buckets. The one charged longest ago makes room: it is likely full again, as a new one is."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._buckets: dict[Account, tuple[float, float]] = {}  # tokens, and when; last charged at the end
        self._lock = threading.Lock()

    def charge(self, principal: Principal, n: int, *, partly: bool = False) -> Verdict:
        """Take n tokens (at most a full bucket), or none and say when to come back; `partly`: what there is of them."""
        return self.take(principal.key_id, *allowance(principal), n, partly=partly)

    def take(self, account: Account, rate: int, burst: int, n: int, *, partly: bool = False) -> Verdict:
        """The same from the bucket of any account. rate: tokens a second, 0 for no limit."""
        if rate == 0:
            return UNLIMITED
        cost = min(n, burst)
        now = self._clock()
        with self._lock:
            tokens, then = self._buckets.pop(account, (float(burst), now))
            tokens = min(burst, tokens + (now - then) * rate)
            cost = min(cost, int(tokens)) if partly else cost
            ok = tokens >= cost
            tokens -= cost if ok else 0
            if len(self._buckets) >= self._capacity:
                del self._buckets[next(iter(self._buckets))]
            self._buckets[account] = (tokens, now)
        return judged(tokens, rate, burst, cost, ok=ok)


def judged(tokens: float, rate: int, burst: int, cost: int, *, ok: bool) -> Verdict:
    """What to say of a bucket that has `tokens` after a request that cost `cost`, or before one that does not pass."""
    return Verdict(
        ok=ok,
        limit=burst,
        remaining=min(burst, int(tokens)),
        reset=max(0, math.ceil((burst - tokens) / rate)),
        retry_after=0 if ok else max(1, math.ceil((cost - tokens) / rate)),
    )


def allowance(principal: Principal) -> tuple[int, int]:
    """Events a second (0: no limit) and events at once: the project's own, or the installation's."""
    rate, burst = principal.options.ingest_rate, principal.options.ingest_burst
    if rate is None:
        rate = installation().ingest_rate
    if not rate:
        return 0, 0  # no limit
    return rate, installation().ingest_burst if burst is None else max(1, burst)
