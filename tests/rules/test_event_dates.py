"""Instants that events name, compared with the present: what follows if nothing else happens, to the millisecond.

The date comes nearer, and the window moves on; the answer changes at the instants of both. Each line says all flips
from BEGIN on; the engine is asked at each of them, a millisecond before and a millisecond after, and so is the oracle.
"""

from typing import Any, NamedTuple

import pytest

from persona.lib.clock import rfc3339
from segments.insight.future import turns
from segments.rules import Compiled, Facts, Row, compiled, facts_from, parse
from tests.rules.oracle import Event, World, member

S, DAY = 1_000, 86_400_000
BEGIN = 1_780_012_800_000 - 7_200 * S  # two hours before midnight in UTC
KEPT = 400 * DAY
HALF = {"last": "PT20S"}


class Named(NamedTuple):
    """An event, `at` ms after BEGIN, and what it names: ms after BEGIN, too, or what is no instant."""

    at: int
    date: Any


def node(cmp: str, value: str = "PT10S", fn: str = "last", window: Any = None, **more: Any) -> dict[str, Any]:
    found = {"op": "event", "event": "renewed", "agg": {"fn": fn, "prop": "until"}, "cmp": cmp, "value": value, **more}
    return {**found, "window": window} if window else found


def no(inner: Any) -> dict[str, Any]:
    return {"op": "not", "of": inner}


def absolute(start: int, end: int) -> dict[str, str]:
    return {"from": rfc3339(BEGIN + start), "to": rfc3339(BEGIN + end)}


TIMELINES: dict[str, tuple[dict[str, Any], list[Named], list[int]]] = {
    "older_than, to the end of the retention": (node("older_than"), [Named(0, 0)], [10 * S, KEPT]),
    "older_than, to the end of the window": (node("older_than", window=HALF), [Named(0, 0)], [10 * S, 20 * S]),
    "older_than, the window is as long": (node("older_than", "PT20S", window=HALF), [Named(0, 0)], []),
    "older_than, the window is a millisecond longer": (
        node("older_than", "PT19.999S", window=HALF), [Named(0, 0)], [20 * S - 1, 20 * S]),
    "newer_than": (node("newer_than"), [Named(0, 5 * S)], [5 * S, 15 * S]),
    "newer_than, from the beginning": (node("newer_than", window=HALF), [Named(0, -3 * S)], [0, 7 * S]),
    "newer_than, cut off by the window": (node("newer_than", window=HALF), [Named(0, 15 * S)], [15 * S, 20 * S]),
    "newer_than, for a millisecond": (node("newer_than", "PT0.001S"), [Named(0, 5 * S)], [5 * S, 5 * S + 1]),
    "within_next": (node("within_next"), [Named(0, 30 * S)], [20 * S + 1, 30 * S + 1]),
    "within_next, cut off by the window": (node("within_next", window=HALF), [Named(0, 25 * S)], [15 * S + 1, 20 * S]),
    "within_next, the window ends as it begins": (node("within_next", window=HALF), [Named(0, 30 * S - 1)], []),
    "the last gives way to a later one": (
        node("older_than", window=HALF), [Named(0, -5 * S), Named(8 * S, 8 * S)], [5 * S, 8 * S, 18 * S, 28 * S]),
    "the first does not": (
        node("older_than", fn="first", window=HALF), [Named(0, -5 * S), Named(8 * S, -5 * S)], [5 * S, 28 * S]),
    "the first leaves, and the second is younger": (
        node("older_than", fn="first", window=HALF), [Named(0, 0), Named(5 * S, 14 * S)],
        [10 * S, 20 * S, 24 * S, 25 * S]),
    "the first leaves as the second grows old enough": (
        node("older_than", fn="first", window=HALF), [Named(0, 0), Named(5 * S, 10 * S)], [10 * S, 25 * S]),
    "each of three in its turn": (
        node("newer_than", "PT2S", "first", {"last": "PT4S"}),
        [Named(0, 3 * S), Named(2 * S, 3 * S), Named(3 * S, 6 * S)],
        [3 * S, 5 * S, 6 * S, 7 * S]),
    "those of one instant leave together": (
        node("older_than", fn="first", window=HALF), [Named(0, 0), Named(0, -9 * S), Named(5 * S, 30 * S)],
        [10 * S, 20 * S]),
    "the first that names none is the first": (
        node("older_than", fn="first", window=HALF), [Named(0, None), Named(5 * S, -9 * S)], [20 * S, 25 * S]),
    "the last that names none is the last": (
        node("older_than", window=HALF), [Named(0, -5 * S), Named(8 * S, None)], [5 * S, 8 * S]),
    "a text that is no instant": (node("newer_than"), [Named(0, "soon"), Named(0, "soon")], []),
    "true is no instant": (node("older_than"), [Named(0, True)], []),
    "a list is no instant": (node("older_than"), [Named(0, [5])], []),
    "not": (no(node("older_than", window=HALF)), [Named(0, 0)], [10 * S, 20 * S]),
    "not, of no event": (no(node("older_than")), [], []),
    "not, of none it names": (no(node("within_next")), [Named(0, None)], []),
    "between ages": (
        node("older_than", window={"between": ["PT30S", "PT5S"]}), [Named(0, 0)], [10 * S, 30 * S]),
    "between ages, it enters old enough": (
        node("older_than", window={"between": ["PT30S", "PT15S"]}), [Named(0, 0)], [15 * S, 30 * S]),
    "between ages, one after the other": (
        node("within_next", "PT3S", window={"between": ["PT20S", "PT10S"]}),
        [Named(0, 12 * S), Named(6 * S, 18 * S), Named(8 * S, 40 * S)], [10 * S, 12 * S + 1, 16 * S, 18 * S]),
    "an absolute window": (
        node("newer_than", window=absolute(-5 * S, 5 * S)),
        [Named(-6 * S, 0), Named(4 * S, 6 * S), Named(5 * S, 9 * S)],
        [6 * S, 16 * S]),
    "an absolute window, the first of it": (
        node("newer_than", fn="first", window=absolute(0, 5 * S)), [Named(-S, -S), Named(0, 9 * S), Named(4 * S, 0)],
        [9 * S, 19 * S]),
    "today": (
        node("older_than", "PT1H", window={"calendar": "day", "back": 0, "tz": "UTC"}), [Named(0, 0)],
        [3_600 * S, 7_200 * S]),
    "yesterday": (
        node("older_than", "PT3H", window={"calendar": "day", "back": 1, "tz": "UTC"}), [Named(0, 0)],
        [3 * 3_600 * S, 7_200 * S + DAY]),
    "events of a day leave together": (
        node("older_than", "PT1H", "first", {"calendar": "day", "back": 0, "tz": "UTC"}),
        [Named(0, 7_000 * S), Named(S, -DAY), Named(7_200 * S, 7_200 * S)], [10_800 * S, 7_200 * S + DAY]),
    "where": (
        node("older_than", where={"op": "trait", "path": "until", "cmp": "after", "value": rfc3339(BEGIN)}),
        [Named(0, S), Named(S, 0)], [11 * S, KEPT]),
    "all of two": (
        {"op": "all", "of": [node("older_than", window=HALF), no(node("older_than", "PT15S"))]}, [Named(0, 0)],
        [10 * S, 15 * S]),
    "any of two": (
        {"op": "any", "of": [node("newer_than", "PT3S"), node("within_next", "PT3S")]}, [Named(0, 9 * S)],
        [6 * S + 1, 12 * S]),
}  # fmt: skip


def instant(date: Any) -> Any:
    return rfc3339(BEGIN + date) if type(date) is int else date


def asked(document: Any, events: list[Named]) -> tuple[Compiled, Facts]:
    rows = [Row(BEGIN + each.at, bytes([n]), {"until": instant(each.date)}) for n, each in enumerate(events)]
    return compiled(parse(document)), facts_from((("renewed", row) for row in rows), retention=KEPT)


def truth(document: Any, events: list[Named], now: int) -> bool:
    plain: list[Event] = [
        ("renewed", BEGIN + at, bytes([n]), {"until": instant(date)}, {}) for n, (at, date) in enumerate(events)
    ]
    return member(document, World(plain, now=now, retention=KEPT))


@pytest.mark.parametrize(("rule", "events", "flips"), TIMELINES.values(), ids=TIMELINES.keys())
def test_every_flip_comes_at_its_millisecond(rule: Any, events: list[Named], flips: list[int]) -> None:
    document = {"v": 1, "rule": rule}
    one, known = asked(document, events)
    start = BEGIN - 1
    assert (one.value(known, start) > 0) is truth(document, events, start) is (rule["op"] == "not")
    found = turns(lambda now: one.value(known, now), now=start, until=BEGIN + 2 * KEPT, most=100)
    assert [turn.at - BEGIN for turn in found] == flips
    for turn in found:
        for now in (turn.at - 1, turn.at, turn.at + 1):
            assert (one.value(known, now) > 0) is truth(document, events, now), now - BEGIN
        assert truth(document, events, turn.at) is turn.enters
        assert truth(document, events, turn.at - 1) is not turn.enters
