"""Charging a key for its events, and callers of the management API for their requests: from this process's buckets, or
with Redis from those that all processes share."""

from concurrent.futures import Future
from functools import lru_cache

import msgspec
from django.conf import settings

from keys.installation import installation
from keys.limits.buckets import Limiter, Verdict
from keys.limits.leases import Leases
from keys.principal import Principal

_alone = Limiter()
_together = lru_cache(maxsize=None)(Leases)  # by the address of Redis


def charge(principal: Principal, n: int, *, partly: bool = False) -> "Verdict | Future[Verdict]":
    """Take n tokens (at most a full bucket), or none and say when to come back; `partly`: what there is of them.

    At once wherever memory knows the answer; else a future that is resolved within a tenth of a second.
    """
    return _limits().charge(principal, n, partly=partly)


def charge_here(principal: Principal, n: int) -> Verdict:
    """The same for threads that may wait."""
    return _waited(charge(principal, n))


def charge_request(caller: str) -> Verdict:
    """One request of the management API by a key or a person; for threads that may wait."""
    rate = settings.PERSONA_API_RATE
    return _waited(_limits().take(caller, rate, max(1, settings.PERSONA_API_BURST), 1))


def spent(principal: Principal) -> Verdict | None:
    """The refusal of a key that has no token left: its next request need not even be read."""
    verdict = charge(principal, 0)
    if isinstance(verdict, Future) or verdict.remaining or not verdict.limit:
        return None
    return msgspec.structs.replace(verdict, ok=False, retry_after=1)


def _limits() -> Limiter | Leases:
    address = installation().redis
    return _together(address) if address else _alone


def _waited(verdict: "Verdict | Future[Verdict]") -> Verdict:
    return verdict.result() if isinstance(verdict, Future) else verdict
