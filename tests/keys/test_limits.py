from dataclasses import dataclass

import msgspec
import pytest
from pytest_django import Settings

from keys.limits.buckets import Limiter, Verdict
from keys.models import ProjectSettings
from keys.principal import Principal


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def principal(key_id: int = 1, **options: int) -> Principal:
    return Principal(
        project_id=1,
        project="shop",
        mode="live",
        key_id=key_id,
        kind="pk",
        lookup="pk_live_aaaaaaaa",
        origins=frozenset(),
        scopes=frozenset(),
        expires_at=None,
        options=msgspec.convert(options, ProjectSettings),
    )


SLOW = principal(ingest_rate=10, ingest_burst=100)


def test_a_burst_passes_and_the_next_event_waits() -> None:
    limiter = Limiter(clock=Clock())
    assert limiter.charge(SLOW, 100) == Verdict(ok=True, limit=100, remaining=0, reset=10, retry_after=0)
    assert limiter.charge(SLOW, 1) == Verdict(ok=False, limit=100, remaining=0, reset=10, retry_after=1)


def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    limiter = Limiter(clock=clock)
    limiter.charge(SLOW, 60)
    assert limiter.charge(SLOW, 50).retry_after == 1
    assert limiter.charge(SLOW, 40).ok


def test_tokens_come_back_at_the_rate_and_no_further_than_the_burst() -> None:
    clock = Clock()
    limiter = Limiter(clock=clock)
    limiter.charge(SLOW, 100)
    refused = limiter.charge(SLOW, 50)
    assert refused.retry_after == 5
    clock.now += refused.retry_after
    assert limiter.charge(SLOW, 50).ok
    clock.now += 1_000_000
    assert limiter.charge(SLOW, 1).remaining == 99


def test_a_request_larger_than_the_bucket_costs_a_full_bucket() -> None:
    limiter = Limiter(clock=Clock())
    assert limiter.charge(SLOW, 256).ok
    assert limiter.charge(SLOW, 256).retry_after == 10


def test_each_key_has_its_own_bucket() -> None:
    limiter = Limiter(clock=Clock())
    assert limiter.charge(SLOW, 100).ok
    assert limiter.charge(principal(2, ingest_rate=10, ingest_burst=100), 100).ok


def test_rate_zero_is_no_limit() -> None:
    verdict = Limiter(clock=Clock()).charge(principal(ingest_rate=0), 10**9)
    assert verdict.ok
    assert verdict.headers() == ()


def test_the_installation_gives_the_defaults(settings: Settings) -> None:
    settings.PERSONA_INGEST_RATE, settings.PERSONA_INGEST_BURST = 7, 21
    limiter = Limiter(clock=Clock())
    assert limiter.charge(principal(), 21) == Verdict(ok=True, limit=21, remaining=0, reset=3, retry_after=0)
    settings.PERSONA_INGEST_RATE = 0
    assert limiter.charge(principal(), 10**6).ok


def test_the_headers() -> None:
    assert Limiter(clock=Clock()).charge(SLOW, 30).headers() == (
        ("ratelimit-limit", "100"),
        ("ratelimit-remaining", "70"),
        ("ratelimit-reset", "3"),
    )


def test_what_there_is_of_a_cost() -> None:
    limiter = Limiter(clock=Clock())
    assert limiter.charge(SLOW, 60, partly=True) == Verdict(ok=True, limit=100, remaining=40, reset=6, retry_after=0)
    assert limiter.charge(SLOW, 60, partly=True) == Verdict(ok=True, limit=100, remaining=0, reset=10, retry_after=0)


def test_the_longest_unused_bucket_makes_room() -> None:
    limiter = Limiter(clock=Clock(), capacity=2)
    first, second, third = (principal(n, ingest_rate=1, ingest_burst=10) for n in (1, 2, 3))
    limiter.charge(first, 10)
    limiter.charge(second, 10)
    limiter.charge(first, 0)
    limiter.charge(third, 10)  # second makes room
    assert not limiter.charge(first, 1).ok
    assert limiter.charge(second, 1).ok


@pytest.mark.parametrize("n", [0, 1])
def test_a_project_may_lower_its_burst_at_any_time(n: int) -> None:
    limiter = Limiter(clock=Clock())
    limiter.charge(SLOW, 0)
    assert limiter.charge(principal(ingest_rate=10, ingest_burst=5), n).remaining == 5 - n
