"""Every SDK against every case of sdks/conformance: one scripted server, one judge, a driver for each language."""

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.sdks.drivers import DRIVERS, SDKS, Driver, Playing

FAST = {"flushIntervalMs": 200, "retryBaseMs": 20, "retryCapMs": 100, "timeoutMs": 5_000, "watchdogMs": 10_000}
KEY = "pk_test_conformance"


def scripted() -> Any:
    """The module of the server: it is published beside the cases, not importable from here."""
    found = importlib.util.spec_from_file_location("scripted", SDKS / "conformance" / "server.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


SERVER = scripted()
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
Look = Callable[[Any, Mapping[str, Any]], Any]
LOOKS: dict[str, Look] = {
    "stored": lambda seen, _: [event.get("event", event["type"]) for event in seen.stored],
    "count": lambda seen, _: len(seen.stored),
    "requests": lambda seen, _: len(seen.ingest),
    "keys": lambda seen, _: distinct([asked.headers["authorization"].removeprefix("Bearer ") for asked in seen.ingest]),
    "dropped": lambda _, heard: heard["dropped"],
    "errors": lambda _, heard: distinct(heard["errors"]),
    "changes": lambda _, heard: heard["changes"],
    "resets": lambda _, heard: heard["resets"],
    "cursors": lambda seen, _: [asked.headers.get("last-event-id") for asked in seen.stream],
    "filters": lambda seen, _: seen.stream[0].query.get("persona", []),
}
AT_LEAST: dict[str, Look] = {
    "gap": lambda seen, _: gap(seen.ingest),
    "streamGap": lambda seen, _: gap(seen.stream),
}
AT_MOST: dict[str, Look] = {"requestsAtMost": LOOKS["requests"]}


def within(wanted: Any, got: Any) -> Any:
    """Of what came, that which is asked about: an SDK may say more in every object."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return {name: within(part, got.get(name)) for name, part in wanted.items()}
    if isinstance(wanted, list) and isinstance(got, list):
        return [within(part, one) for part, one in zip(wanted, got, strict=False)]
    return got


def judge(expect: Mapping[str, Any], seen: Any, heard: Mapping[str, Any]) -> None:
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


def judge_always(seen: Any) -> None:
    assert seen.again == [], "sent again after it was taken"
    for asked in seen.ingest:
        assert asked.headers["authorization"].startswith(f"Bearer {KEY}")
        assert asked.body["sentAt"]
        assert len(asked.body["batch"]) <= 256
        assert all(event["messageId"] and event["type"] and event["timestamp"] for event in asked.body["batch"])
        ids = [event["messageId"] for event in asked.body["batch"]]
        assert len(set(ids)) == len(ids)
    for asked in seen.stream:
        assert asked.headers["authorization"] == f"Bearer {KEY}"


@pytest.fixture(scope="module", params=DRIVERS, ids=lambda driver: driver.language)
def playing(request: pytest.FixtureRequest) -> Iterator[Playing]:
    driver: Driver = request.param
    if driver.lacking:
        pytest.skip(driver.lacking)
    playing = Playing(driver.command(), driver.language)
    yield playing
    assert playing.end() == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_conformance(case: Mapping[str, Any], playing: Playing) -> None:
    if playing.language in case.get("except", {}):
        return  # the case says why
    with SERVER.Scripted(case) as server:
        script = {"url": server.url, "key": KEY, "options": {**FAST, **case.get("options", {})}, "do": case["do"]}
        heard = json.loads(playing.play(json.dumps(script)))
        judge_always(server.seen)
        judge(case["expect"], server.seen, heard)


def test_all_cases_are_found() -> None:
    assert len(CASES) >= len(KINDS)
