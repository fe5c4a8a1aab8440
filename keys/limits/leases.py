"""Rate limits over several processes: the buckets are in Redis, and each process leases tokens from them
in blocks of at most 100 ms of the rate. So most requests are charged from memory, and none waits for Redis on its own
thread.

Fails open, and counts it: while Redis does not answer, each process goes by a bucket of its own.
"""

import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import msgspec
import redis
from prometheus_client import Counter
from redis.backoff import NoBackoff
from redis.retry import Retry

from keys.limits.buckets import CAPACITY, UNLIMITED, Account, Limiter, Verdict, allowance, judged
from keys.principal import Principal
from persona.lib.futures import pending
from persona.lib.log import get_logger

log = get_logger(__name__)

BLOCK_SECONDS = 0.1  # of the rate that are leased at once
ANSWER_SECONDS = 0.1  # for Redis
AWAY_SECONDS = 1.0  # until it is asked again
MOST_WAITING = 10_000

FAILED_OPEN = Counter("persona_limits_failed_open", "Requests that were charged without Redis, which did not answer.")

# All or nothing of `cost`, unless what there is will do; and up to a block, so that the next need not ask.
LEASE = """
local rate, burst, cost, block = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
if kept[1] then tokens = math.min(burst, kept[1] + math.max(0, now - kept[2]) * rate) end
local granted = 0
if tokens >= cost then granted = math.floor(math.min(tokens, math.max(cost, block)))
elseif ARGV[5] == '1' then granted = math.floor(tokens) end
redis.call('HSET', KEYS[1], 'tokens', tokens - granted, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return {granted, tostring(tokens - granted)}
"""


class Demand(msgspec.Struct, frozen=True):
    """A request that memory alone cannot answer."""

    key: Account
    rate: int
    burst: int
    cost: int
    partly: bool
    verdict: "Future[Verdict]"


class Leases:
    """One per process. Its thread, which alone speaks to Redis, starts with the first demand."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._held: dict[Account, int] = {}  # tokens leased and not spent, by key
        self._left: dict[Account, tuple[float, float]] = {}  # what Redis had then, and when: it has at most that by now
        self._demands: list[Demand] = []
        self._thread: threading.Thread | None = None
        self._away_until = -math.inf
        self._own = Limiter(clock=self._clock)
        # No retry and no long wait: a request stands behind it.
        self._redis = redis.Redis.from_url(
            self._url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._lease = self._redis.register_script(LEASE)

    def charge(self, principal: Principal, n: int, *, partly: bool = False) -> "Verdict | Future[Verdict]":
        """As Limiter.charge; a future where Redis has to be asked."""
        return self.take(principal.key_id, *allowance(principal), n, partly=partly)

    def take(self, key: Account, rate: int, burst: int, n: int, *, partly: bool = False) -> "Verdict | Future[Verdict]":
        """As Limiter.take; a future where Redis has to be asked."""
        if rate == 0:
            return UNLIMITED
        if self._pid != os.getpid():
            self._begin()
        cost = min(n, burst)
        with self._changed:
            held, left = self._held.get(key, 0), self._most_left(key, rate, burst)
            if held >= cost:
                self._held[key] = held - cost
                return judged(held - cost + left, rate, burst, cost, ok=True)
            if held + left < cost and not partly:
                return judged(held + left, rate, burst, cost, ok=False)
            demand = Demand(key, rate, burst, cost, partly, pending())
            if len(self._demands) >= MOST_WAITING:
                return self._alone(demand)
            self._demands.append(demand)
            self._run()
            self._changed.notify()
        return demand.verdict

    def _most_left(self, key: Account, rate: int, burst: int) -> float:
        """Other processes take from the bucket too, but nobody puts anything in."""
        tokens, then = self._left.get(key, (float(burst), -math.inf))
        return min(burst, tokens + (self._clock() - then) * rate) if then > -math.inf else float(burst)

    def _run(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._serve, name="leases", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._demands:
                    self._changed.wait()
                demands, self._demands = self._demands, []
            for demand in demands:
                try:
                    demand.verdict.set_result(self._answer(demand))
                except Exception as error:  # whatever it was: nobody may be left waiting
                    log.exception("limits.broken")
                    demand.verdict.set_exception(error)

    def _answer(self, demand: Demand) -> Verdict:
        with self._changed:
            held = self._held.get(demand.key, 0)
        if held < demand.cost:
            if self._clock() < self._away_until:
                return self._alone(demand)
            try:
                held = self._leased(demand, held)
            except redis.RedisError as error:
                log.warning("limits.redis_away", error=type(error).__name__)
                self._away_until = self._clock() + AWAY_SECONDS
                return self._alone(demand)
        return self._spent(demand)

    def _leased(self, demand: Demand, held: int) -> int:
        """Tokens held after asking for what is missing. Raises redis.RedisError."""
        block = max(1, int(demand.rate * BLOCK_SECONDS))
        given = [demand.rate, demand.burst, demand.cost - held, block, int(demand.partly)]
        granted, left = self._lease(keys=[f"persona:rate:{demand.key}"], args=given)
        with self._changed:
            self._left.pop(demand.key, None)
            if len(self._left) >= CAPACITY:
                oldest = next(iter(self._left))
                del self._left[oldest]
                self._held.pop(oldest, None)
            self._left[demand.key] = (float(left), self._clock())
            self._held[demand.key] = self._held.get(demand.key, 0) + int(granted)
            return self._held[demand.key]

    def _spent(self, demand: Demand) -> Verdict:
        with self._changed:
            held, left = self._held.get(demand.key, 0), self._most_left(demand.key, demand.rate, demand.burst)
            cost = min(demand.cost, held) if demand.partly else demand.cost
            ok = held >= cost
            if ok:
                self._held[demand.key] = held = held - cost
        return judged(held + left, demand.rate, demand.burst, cost, ok=ok)

    def _alone(self, demand: Demand) -> Verdict:
        FAILED_OPEN.inc()
        return self._own.take(demand.key, demand.rate, demand.burst, demand.cost, partly=demand.partly)
