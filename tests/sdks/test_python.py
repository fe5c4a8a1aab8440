"""The Python SDK in the life of a program: threads, forks, ends of all kinds, and values that JSON does not know."""

import math
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from persona_sdk import Options, Persona
from server import Scripted

from tests.sdks.drivers import SDKS
from tests.sdks.test_conformance import KEY

SLOW = Options(flush_interval_ms=600_000)  # what is sent is sent because somebody asked, or because a program ends
CIRCLE: dict[str, Any] = {}
CIRCLE["self"] = CIRCLE

# Servers that make their workers by fork have made the client before; a worker ends by itself or by os._exit.
PREFORK = """
import multiprocessing, os, sys
from persona_sdk import Options, Persona

persona = Persona("pk_test_conformance", url=sys.argv[1], options=Options(flush_interval_ms=600_000))
persona.subscribe(lambda change: print("changed", os.getpid(), change.seq, flush=True))
persona.track("master")
for number in range(2):
    if os.fork() == 0:
        persona.track(f"forked {number}")
        sys.exit()

def work(number):
    persona.track(f"worker {number}")

workers = [multiprocessing.get_context("fork").Process(target=work, args=(number,)) for number in range(2)]
for worker in workers: worker.start()
for worker in workers: worker.join()
for number in range(2): os.wait()
persona.track("master again")
"""

FALLS = """
import sys
from persona_sdk import Persona
Persona("pk_test_conformance", url=sys.argv[1]).track("last")
1 / 0
"""

END = """
import sys, threading
from pathlib import Path
from persona_sdk import Persona

def sockets():
    return sum("socket:" in str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())

heard = threading.Event()
with Persona("pk_test_conformance", url=sys.argv[1], config=True, on_flags=lambda _: heard.set()) as persona:
    persona.subscribe(print)
    persona.track("page_viewed")
    assert persona.flush() and heard.wait(10)
    while sockets() < 3: pass
    print(threading.active_count(), sockets())
print(threading.active_count(), sockets())
"""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted({}) as server:
        yield server


def names(server: Scripted) -> list[str]:
    return sorted(event["event"] for event in server.seen.stored)


def run(program: str, *arguments: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(SDKS / "python")}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_process_of_a_forking_server_sends_its_own(server: Scripted) -> None:
    run(PREFORK, server.url)
    wanted = ["forked 0", "forked 1", "master", "master again", "worker 0", "worker 1"]
    assert names(server) == wanted
    assert server.seen.again == []
    assert len(server.seen.stream) == 1, "a subscription is its process's alone"


def test_an_exception_that_ends_the_program_does_not_end_its_events(server: Scripted) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run(FALLS, server.url)
    assert names(server) == ["last"]


def test_any_number_of_threads_and_an_end_in_the_middle(server: Scripted) -> None:
    """What track() has taken is sent; what it has not is told, and it says so."""
    taken, dropped = [], []
    persona = Persona(KEY, url=server.url, on_drop=lambda name, _: dropped.append(name))

    def work(thread: int) -> None:
        for number in range(200):
            name = f"{thread} {number}"
            if persona.track(name):
                taken.append(name)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    threads[0].join()
    persona.close()
    for thread in threads:
        thread.join()
    assert names(server) == sorted(taken)
    assert len(taken) + len(dropped) == 8 * 200


def test_the_end_leaves_no_thread_and_no_socket(server: Scripted) -> None:
    assert run(END, server.url).split() == ["4", "3", "1", "0"]


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        CIRCLE,
        {1, 2},
        b"bytes",
        object(),
        "half \ud800",
        {(1, 2): 3},
        Decimal("NaN"),
        [[]] * 2 + [print],
    ],
    ids=lambda value: type(value).__name__,  # the same in every process of a parallel run
)
def test_what_json_does_not_know_is_told_and_ends_nothing(server: Scripted, value: object) -> None:
    dropped: list[tuple[str, str]] = []
    with Persona(KEY, url=server.url, options=SLOW, on_drop=lambda *what: dropped.append(what)) as persona:
        assert not persona.track("odd", {"value": value})
        assert persona.track("fine")
    assert dropped == [("odd", "event.not_json")]
    assert names(server) == ["fine"]


def test_nested_beyond_all_reason(server: Scripted) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with Persona(KEY, url=server.url, options=SLOW) as persona:
        assert not persona.track("deep", {"value": deep})


def test_what_programs_have_besides_json(server: Scripted) -> None:
    zone = timezone(timedelta(hours=3))
    given = {
        "at": datetime(2026, 11, 21, 12, 0, tzinfo=zone),
        "day": date(2026, 11, 21),
        "id": uuid.UUID(int=7),
        "total": Decimal("40.50"),
        "whole": 10**30,
    }
    with Persona(KEY, url=server.url, options=SLOW) as persona:
        persona.track("order_placed", given, timestamp=datetime(2026, 11, 21, 12, 0, tzinfo=zone))
    (event,) = server.seen.stored
    assert event["timestamp"] == "2026-11-21T09:00:00.000+00:00"
    assert event["properties"] == {
        "at": "2026-11-21T09:00:00.000+00:00",
        "day": "2026-11-21",
        "id": str(uuid.UUID(int=7)),
        "total": 40.5,
        "whole": 10**30,
    }


def test_callbacks_may_raise_and_may_end_it_all(server: Scripted) -> None:
    def angry(*_: object) -> None:
        raise RuntimeError("oh")

    persona = Persona(KEY, url=server.url, options=SLOW, on_drop=angry)
    persona.track("odd", {"value": math.nan})
    persona.track("fine")
    assert persona.flush()
    ended = Persona(KEY, url=server.url, options=Options(max_queue=1), on_drop=lambda *_: ended.close())
    ended.track("first")
    ended.track("one too many")
    persona.close()
    assert names(server) == ["fine", "first"]


def test_a_full_queue_is_logged_once_not_for_each_event(server: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    dropped: list[str] = []
    options = Options(flush_interval_ms=600_000, max_queue=1)
    with Persona(KEY, url=server.url, options=options, on_drop=lambda name, _: dropped.append(name)) as persona:
        for round_ in range(2):
            for number in range(5):
                persona.track(f"{round_} {number}")
            persona.flush()
    assert len(dropped) == 8
    assert [record.getMessage() for record in caplog.records if "full" in record.getMessage()] == [
        "event '0 1' was given up: queue.full", "event '1 1' was given up: queue.full",
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://[", "ftp://localhost", "http://127.0.0.1:1"])
def test_an_address_that_leads_nowhere_neither_raises_nor_spins(url: str) -> None:
    dropped: list[str] = []
    options = Options(retry_base_ms=20, retry_cap_ms=100)
    try:
        persona = Persona(KEY, url=url, options=options, on_drop=lambda _, code: dropped.append(code))
    except ValueError:
        return  # told at once, to whoever starts the program
    persona.track("page_viewed")
    assert not persona.flush(50)
    persona.close(50)
    assert dropped == ["client.closed"]
