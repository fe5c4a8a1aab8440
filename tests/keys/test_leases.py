"""Rate limits over several processes: two of them are two `Leases` here, each with its own memory."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import redis

from keys.limits import leases as leases_room
from keys.limits.buckets import Verdict
from keys.limits.leases import FAILED_OPEN, Leases
from tests.keys.test_limits import Clock, principal
from tests.stack import free_port, wait_for
from tests.waiting import DEADLINE as PATIENCE


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        url = f"redis://127.0.0.1:{port}/0"
        wait_for(lambda: answers(url), "Redis", PATIENCE)
        yield url
        process.terminate()


@pytest.fixture
def url(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """However busy the machine is, nobody goes by a bucket of their own here."""
    monkeypatch.setattr(leases_room, "ANSWER_SECONDS", PATIENCE)
    redis.Redis.from_url(server).flushall()
    return server


def answers(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url).ping())
    except redis.RedisError:
        return False


def charged(leases: Leases, who: Any, n: int, **how: bool) -> Verdict:
    found = leases.charge(who, n, **how)
    return found.result(PATIENCE) if isinstance(found, Future) else found


def test_two_processes_share_a_bucket(url: str) -> None:
    slow = principal(ingest_rate=1, ingest_burst=1_000)
    one, other = Leases(url), Leases(url)
    assert charged(one, slow, 600).ok
    assert not charged(other, slow, 600).ok
    assert charged(other, slow, 300).ok
    assert not charged(one, slow, 500).ok


def test_most_requests_ask_nobody(url: str) -> None:
    """A block is 100 ms of the rate."""
    fast = principal(ingest_rate=1_000, ingest_burst=1_000)
    leases = Leases(url)
    charged(leases, fast, 1)
    asked = [isinstance(leases.charge(fast, 1), Future) for _ in range(99)]
    assert not any(asked)
    last = leases.charge(fast, 1)
    assert isinstance(last, Future)
    assert last.result(PATIENCE).ok


def test_no_more_than_the_bucket_whoever_asks(url: str) -> None:
    slow = principal(ingest_rate=1, ingest_burst=500)
    processes = [Leases(url) for _ in range(4)]
    passed: list[int] = []

    def send(leases: Leases) -> None:
        passed.extend(3 for _ in range(100) if charged(leases, slow, 3).ok)

    threads = [threading.Thread(target=send, args=(leases,)) for leases in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert 450 <= sum(passed) <= 500 + PATIENCE


def test_who_has_nothing_left_asks_nobody_until_there_can_be_something(url: str) -> None:
    slow, clock = principal(ingest_rate=10, ingest_burst=100), Clock()
    leases = Leases(url, clock=clock)
    assert charged(leases, slow, 100).ok
    refused = leases.charge(slow, 50)
    assert isinstance(refused, Verdict)
    assert (refused.ok, refused.retry_after, refused.remaining) == (False, 5, 0)
    clock.now += 5
    assert isinstance(leases.charge(slow, 50), Future)


def test_what_there_is_of_a_cost(url: str) -> None:
    slow = principal(ingest_rate=1, ingest_burst=1_000)
    one, other = Leases(url), Leases(url)
    assert charged(one, slow, 600).ok
    assert charged(other, slow, 800, partly=True).ok
    assert not charged(one, slow, 300).ok


def test_without_redis_each_goes_by_its_own_and_that_is_counted() -> None:
    slow = principal(ingest_rate=10, ingest_burst=100)
    leases, before = Leases(f"redis://127.0.0.1:{free_port()}/0"), FAILED_OPEN._value.get()
    assert charged(leases, slow, 100).ok
    assert not charged(leases, slow, 100).ok
    assert FAILED_OPEN._value.get() == before + 2


def test_redis_comes_back(url: str) -> None:
    slow, clock = principal(ingest_rate=10, ingest_burst=100), Clock()
    leases = Leases(f"redis://127.0.0.1:{free_port()}/0", clock=clock)
    assert charged(leases, slow, 10).ok
    leases._redis.connection_pool = redis.ConnectionPool.from_url(url)
    before = FAILED_OPEN._value.get()
    assert charged(leases, slow, 10).ok
    assert FAILED_OPEN._value.get() == before + 1  # not asked again within a second
    clock.now += 1.1
    assert charged(leases, slow, 10).ok
    assert FAILED_OPEN._value.get() == before + 1


def test_no_limit_asks_nobody() -> None:
    leases = Leases("redis://127.0.0.1:1/0")
    assert leases.charge(principal(ingest_rate=0), 10**6).ok  # type: ignore[union-attr]  # no future without a limit
