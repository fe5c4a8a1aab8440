"""All SDKs at once against the real server, which is killed twice meanwhile: stored once, heard once.

Thousands of events in all; `SDK_EVENTS=10000` sends so many from each.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.e2e.calling import Caller
from tests.effort import tries
from tests.sdks.drivers import DRIVERS, Driver, Playing
from tests.stack import Stack
from tests.waiting import until

EVENTS = int(os.environ.get("SDK_EVENTS", tries(2_500, plain=1_000)))  # of each language
ROUND = 500  # events that are tracked at once; the next when all of these were heard of
PATIENCE = 60 + EVENTS // 50  # seconds
pytestmark = pytest.mark.timeout(PATIENCE * 2)

STORED = """select n.name, count(*) from ingestion_event e join ingestion_eventname n
    on n.project_id = e.project_id and n.id = e.name_id where n.name like 'bought_%' group by n.name"""
LOGGED = """select c.seq from segments_change c
    join segments_persona p on p.project_id = c.project_id and p.id = c.persona_id
    where p.slug = %s and not c.silent order by c.seq"""


@contextmanager
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        yield connection


def script(stack: Stack, language: str) -> str:
    """Buyers, each of whom enters a persona, and who listens to that."""
    rounds = [
        [
            {"track": f"bought_{language}", "times": ROUND, "userId": f"{language}-{first}-{{i}}"},
            {"flush": PATIENCE * 1000},
            {"until": {"changes": first + ROUND}},
        ]
        for first in range(0, EVENTS, ROUND)
    ]
    return json.dumps(
        {
            "url": stack.url,
            "key": stack.publishable_key,
            "options": {"maxQueue": ROUND * 2, "flushIntervalMs": 100, "retryBaseMs": 50, "retryCapMs": 500},
            "do": [
                {"subscribe": [f"buyers_{language}"], "cursor": "0"},
                *(step for round_ in rounds for step in round_),
                {"close": 5_000},
            ],
        }
    )


def played(driver: Driver, script: str) -> Any:
    playing = Playing(driver.command(), driver.language)
    heard = json.loads(playing.play(script))
    assert playing.end() == 0
    return heard


def test_thousands_of_events_through_two_restarts(stack: Stack) -> None:
    drivers = [driver for driver in DRIVERS if not driver.lacking]
    api = Caller(stack.url, stack.secret_key)
    for driver in drivers:
        rule = {"op": "event", "event": f"bought_{driver.language}", "cmp": "gte", "value": 1}
        api.persona(f"buyers_{driver.language}", rule)
    with database(stack) as rows, ThreadPoolExecutor() as pool:
        playing = {driver.language: pool.submit(played, driver, script(stack, driver.language)) for driver in drivers}
        for share in (0.1, 0.5):
            until(lambda share=share: stored(rows) >= EVENTS * len(drivers) * share, f"{share} of it")  # type: ignore[misc]  # mypy cannot type a lambda's default
            stack.kill("web")
        heard = {language: played.result(PATIENCE) for language, played in playing.items()}
        assert dict(rows.execute(STORED).fetchall()) == {f"bought_{language}": EVENTS for language in heard}
        for language, told in heard.items():
            logged = [seq for (seq,) in rows.execute(LOGGED, [f"buyers_{language}"])]
            assert told["changes"] == logged
            assert told["dropped"] == []


def stored(rows: psycopg.Connection[Any]) -> int:
    return sum(count for _, count in rows.execute(STORED))
