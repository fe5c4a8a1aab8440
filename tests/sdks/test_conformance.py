"""Every SDK against every case of sdks/conformance: one scripted server, one judge, a driver for each language."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from server import Scripted, Seen

from tests.sdks.drivers import DRIVERS, SDKS, Driver, Playing

FAST = {"flushIntervalMs": 200, "retryBaseMs": 20, "retryCapMs": 100, "timeoutMs": 5_000, "watchdogMs": 10_000}
KEY = "pk_test_conformance"
PRESENT = [driver for driver in DRIVERS if not driver.lacking]
LANGUAGES = [driver.language for driver in PRESENT]


KINDS = ("sending", "streaming", "config")
CASES = [
    case
    for path in sorted((SDKS / "conformance").glob("*/*.json"))
    if path.parent.name in KINDS
    for case in json.loads(path.read_text())
]


def distinct(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def gap(requests: Sequence[Any]) -> float:
    """Milliseconds between the first two."""
    return float(requests[1].at - requests[0].at) * 1000


# What an expectation is compared with: (what the server has seen, what the application has heard) -> value.
Look = Callable[[Seen, Mapping[str, Any]], Any]
LOOKS: dict[str, Look] = {
    "stored": lambda seen, _: [event.get("event", event["type"]) for event in seen.stored],
    "count": lambda seen, _: len(seen.stored),
    "requests": lambda seen, _: len(seen.ingest),
    "keys": lambda seen, _: distinct([asked.headers["authorization"].removeprefix("Bearer ") for asked in seen.ingest]),
    "dropped": lambda _, heard: heard["dropped"],
    "errors": lambda _, heard: distinct(heard["errors"]),
    "changes": lambda _, heard: heard["changes"],
    "profiles": lambda _, heard: heard["profiles"],
    "resets": lambda _, heard: heard["resets"],
    "cursors": lambda seen, _: [asked.headers.get("last-event-id") for asked in seen.stream],
    # A machine that is busy for longer than the watchdog waits may have a connection given up once more.
    "resumes": lambda seen, _: distinct([asked.headers.get("last-event-id") for asked in seen.stream]),
    "filters": lambda seen, _: seen.stream[0].query.get("persona", []),
}
AT_LEAST: dict[str, Look] = {
    "gap": lambda seen, _: gap(seen.ingest),
    "streamGap": lambda seen, _: gap(seen.stream),
}
AT_MOST: dict[str, Look] = {"requestsAtMost": LOOKS["requests"], "configsAtMost": lambda seen, _: len(seen.config)}


def within(wanted: Any, got: Any) -> Any:
    """Of what came, that which is asked about: an SDK may say more in every object."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return {name: within(part, got.get(name)) for name, part in wanted.items()}
    if isinstance(wanted, list) and isinstance(got, list):
        return [within(part, one) for part, one in zip(wanted, got, strict=False)]
    return got


def judge(expect: Mapping[str, Any], seen: Seen, heard: Mapping[str, Any]) -> None:
    for name, wanted in expect.items():
        if name in AT_LEAST:
            assert AT_LEAST[name](seen, heard) >= wanted, name
        elif name in AT_MOST:
            assert AT_MOST[name](seen, heard) <= wanted, name
        elif name == "flags":
            assert within(wanted, heard["flags"]) == wanted
        elif name == "events":
            sent = [event for asked in seen.ingest for event in asked.body["batch"]]
            assert within(wanted, sent[: len(wanted)]) == wanted
        else:
            assert LOOKS[name](seen, heard) == wanted, name


def judge_always(seen: Seen) -> None:
    assert seen.again == [], "sent again after it was taken"
    assert seen.strayed == 0, "went where the server has sent it"
    for asked in seen.ingest:
        assert asked.headers["authorization"].startswith(f"Bearer {KEY}")
        assert asked.body["sentAt"]
        assert len(asked.body["batch"]) <= 256
        assert all(event["messageId"] and event["type"] and event["timestamp"] for event in asked.body["batch"])
        ids = [event["messageId"] for event in asked.body["batch"]]
        assert len(set(ids)) == len(ids)
    for asked in seen.stream:
        assert asked.headers["authorization"] == f"Bearer {KEY}"


Faults = Mapping[str, Sequence[Future[str]]]  # of a language, in the order of the cases


@pytest.fixture(scope="module")
def faults() -> Iterator[Faults]:
    """Each language goes its own way through all cases: most of a case is waiting."""
    with ThreadPoolExecutor() as pool:
        players = list(pool.map(lambda driver: Playing(driver.command(), driver.language), PRESENT))
    ways = [ThreadPoolExecutor(max_workers=1) for _ in players]
    try:
        yield {
            player.language: [way.submit(fault, case, player) for case in CASES]
            for player, way in zip(players, ways, strict=True)
        }
    finally:
        for way in ways:
            way.shutdown(cancel_futures=True)
        assert dict.fromkeys(LANGUAGES, 0) == {player.language: player.end() for player in players}


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.language)
def test_a_language_is_not_left_out(driver: Driver) -> None:
    if driver.lacking:
        pytest.skip(driver.lacking)
    assert driver in PRESENT


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: CASES[number]["name"])
def test_conformance(number: int, faults: Faults) -> None:
    assert {language: way[number].result() for language, way in faults.items()} == dict.fromkeys(LANGUAGES, "")


def fault(case: Mapping[str, Any], player: Playing) -> str:
    """Where the SDK of a language does something else; empty if nowhere."""
    if player.language in case.get("except", {}):
        return ""  # the case says why
    with Scripted(case) as server:
        script = {"url": server.url, "key": KEY, "options": {**FAST, **case.get("options", {})}, "do": case["do"]}
        try:
            heard = json.loads(player.play(json.dumps(script)))
            judge_always(server.seen)
            judge(case["expect"], server.seen, heard)
        except AssertionError as failed:
            return repr(failed)
    return ""


def test_all_cases_are_found() -> None:
    assert len(CASES) >= len(KINDS)
