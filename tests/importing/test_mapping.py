"""The map of an import: what it makes of a record, and what it refuses, of itself and of a record."""

from typing import Any

import pytest

from ingestion.storable import Unfit
from persona.importing.mapping import Unusable, read_map

Json = dict[str, Any]
BASE: Json = {"id": "id", "timestamp": "at", "event": {"value": "order_placed"}}
AT = "2011-12-09T12:50:00.000Z"


def made(document: Json, record: Json, *, number: int = 7, raw: bytes = b"raw") -> Json:
    return read_map({**BASE, **document}).event({"id": "1", "at": AT, **record}, "run", number, raw)


def test_the_usual() -> None:
    document = {
        "userId": "customer", "properties": {"total": {"column": "sum", "as": "number"}, "country": "land"},
        "traits": {"vip": {"column": "vip", "as": "boolean"}}, "context": {"from": {"value": "shop"}},
    }  # fmt: skip
    record = {"customer": "alice", "sum": "89.95", "land": "TR", "vip": "yes", "more": "x"}
    assert made(document, record) == {
        "messageId": "1", "timestamp": AT, "type": "track", "event": "order_placed", "userId": "alice",
        "properties": {"total": 89.95, "country": "TR"}, "traits": {"vip": True}, "context": {"from": "shop"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("timestamp", "value", "expected"),
    [
        ("at", "2011-12-09 12:50", "2011-12-09T12:50:00.000Z"),
        ("at", "2011-12-09T12:50:00+02:00", "2011-12-09T10:50:00.000Z"),
        ("at", "1323435000", "2011-12-09T12:50:00.000Z"),
        ("at", 1323435000.5, "2011-12-09T12:50:00.500Z"),
        ("at", "1323435000123", "2011-12-09T12:50:00.123Z"),
        ({"column": "at", "format": "%m/%d/%Y %H:%M"}, "12/9/2011 12:50", "2011-12-09T12:50:00.000Z"),
        ({"column": "at", "tz": "Europe/Istanbul"}, "2011-12-09 12:50", "2011-12-09T10:50:00.000Z"),
        ({"column": "at", "tz": "Europe/Istanbul"}, "2011-07-09T12:50:00.007", "2011-07-09T09:50:00.007Z"),
        ({"column": "at", "tz": "Europe/Istanbul"}, "2011-12-09T12:50:00Z", "2011-12-09T12:50:00.000Z"),
        ({"column": "at", "tz": "America/New_York", "format": "%Y-%m-%d"}, "2011-12-09", "2011-12-09T05:00:00.000Z"),
        ({"column": "at", "format": "%Y-%m-%dT%H:%M%z"}, "2011-12-09T12:50-0500", "2011-12-09T17:50:00.000Z"),
    ],
)
def test_instants(timestamp: object, value: object, expected: str) -> None:
    assert made({"timestamp": timestamp}, {"at": value})["timestamp"] == expected


@pytest.mark.parametrize(
    ("given", "expected"), [("3", 3), ("-3", -3), ("3.50", 3.5), ("1e3", 1000.0), (7, 7), (0, 0), (2**70, 2**70)]
)
def test_numbers(given: object, expected: float) -> None:
    event = made({"properties": {"n": {"column": "n", "as": "number"}}}, {"n": given})
    assert event["properties"] == {"n": expected}


def test_what_is_empty_is_missing() -> None:
    kinds = ({"column": "c", "as": kind} for kind in ("text", "number", "boolean"))
    properties = {f"p{n}": kind for n, kind in enumerate(kinds)}
    for empty in ("", None):
        assert "properties" not in made({"properties": properties, "userId": "c"}, {"c": empty})


def test_paths_of_json() -> None:
    properties = {"a": "user.name", "b": "page.path", "c": "user.gone.deep", "d": {"column": "user", "as": "text"}}
    record = {"user": {"name": "Alice"}, "page.path": "/x"}
    found = made({"properties": properties}, record)["properties"]
    assert found == {"a": "Alice", "b": "/x", "d": '{"name":"Alice"}'}


@pytest.mark.parametrize(("others", "place"), [("properties", "properties"), ("traits", "traits"), ("drop", None)])
def test_other_columns(others: str, place: str | None) -> None:
    event = made({"others": others, "userId": "who"}, {"who": "alice", "x": "1", "y": ""})
    assert event.get(place or "properties") == ({"x": "1"} if place else None)


def test_ids_that_are_made() -> None:
    by_record, by_content = {"id": {"by": "record"}}, {"id": {"by": "content"}}
    assert made(by_record, {}, number=7)["messageId"] == "import:run:7"
    same = {made(by_content, {}, number=number)["messageId"] for number in (1, 2)}
    assert len(same) == 1
    assert made(by_content, {}, raw=b"other")["messageId"] not in same


@pytest.mark.parametrize(
    ("document", "record", "code", "field"),
    [
        ({}, {"at": "soon"}, "event.timestamp_invalid", "at"),
        ({}, {"at": ""}, "event.field_missing", "at"),
        ({}, {"at": "1e999"}, "event.timestamp_invalid", "at"),
        ({"timestamp": {"column": "at", "format": "%d"}}, {}, "event.timestamp_invalid", "at"),
        ({}, {"id": ""}, "event.field_missing", "id"),
        ({"properties": {"n": {"column": "n", "as": "number"}}}, {"n": "much"}, "event.field_type", "n"),
        ({"properties": {"n": {"column": "n", "as": "number"}}}, {"n": "nan"}, "event.field_type", "n"),
        ({"properties": {"n": {"column": "n", "as": "boolean"}}}, {"n": "perhaps"}, "event.field_type", "n"),
    ],
)
def test_a_record_that_is_not_as_the_map_says(document: Json, record: Json, code: str, field: str) -> None:
    with pytest.raises(Unfit) as refused:
        made(document, record)
    assert (refused.value.code, refused.value.field) == (code, field)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"id": "id"}, "timestamp"),
        ({"timestamp": "at"}, "id"),
        ({**BASE, "evnt": "x"}, "evnt"),
        ({**BASE, "properties": {"n": {"column": "n", "as": "money"}}}, "properties.n"),
        ({**BASE, "properties": {"n": {"as": "number"}}}, "column"),
        ({**BASE, "id": {"by": "magic"}}, "id"),
        ({**BASE, "timestamp": {"column": "at", "tz": "Mars/Olympus"}}, "Mars/Olympus"),
        ({**BASE, "others": "keep"}, "others"),
        (["a list"], "object"),
        (None, "object"),
    ],
)
def test_a_map_that_cannot_be_used_says_what_is_wrong(document: object, said: str) -> None:
    with pytest.raises(Unusable) as unusable:
        read_map(document)
    assert said in str(unusable.value)


def test_columns_that_are_not_there_and_columns_nobody_speaks_of() -> None:
    mapping = read_map({**BASE, "userId": "customer"})
    with pytest.raises(Unusable, match="names `customer`; the columns of the file are `at`, `id`, `who`"):
        mapping.check_header(["id", "at", "who"])
    with pytest.raises(Unusable, match=r"says nothing of `more`\. Say `others: properties`"):
        mapping.check_header(["id", "at", "customer", "more"])
    read_map({**BASE, "others": "drop"}).check_header(["id", "at", "more"])


def test_maps_that_mean_the_same_are_the_same() -> None:
    turned = dict(reversed(list({**BASE, "userId": "who"}.items())))
    assert read_map({**BASE, "userId": "who"}).digest == read_map(turned).digest != read_map(BASE).digest
