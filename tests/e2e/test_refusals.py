"""Bad input through the real server: the documented problem, and nothing lost for the good events beside it."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.e2e.calling import CONFIG, INGEST, STREAM, Caller, Json, count, track
from tests.stack import Stack

TOO_LARGE = json.dumps({"batch": [track("visit", "refused", properties={"text": "x" * 1_100_000})]}).encode()


@pytest.fixture(scope="module")
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        yield connection


def dead_letters(database: psycopg.Connection[Any], batch: Json) -> list[tuple[int, str, bytes]]:
    """Of an applied batch: position, code, what was sent."""
    sql = "select index, code, body from ingestion_deadletter where batch_id = %s order by index"
    return database.execute(sql, [batch["batchId"]]).fetchall()


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"{", {}, "request.not_json"),
        (b"", {}, "request.not_json"),
        (b"[]", {}, "request.not_an_object"),
        (b"{}", {}, "batch.missing"),
        (b'{"batch": {}}', {}, "batch.not_an_array"),
        (b'{"batch": []}', {}, "batch.empty"),
        (json.dumps({"batch": [track("visit", "refused")] * 257}).encode(), {}, "batch.too_many_events"),
        (TOO_LARGE, {}, "request.too_large"),
        (gzip.compress(TOO_LARGE), {"Content-Encoding": "gzip"}, "request.too_large"),
    ],
)
def test_a_batch_that_cannot_be_taken(server: Caller, body: bytes, headers: dict[str, str], code: str) -> None:
    refused = server.ask("POST", INGEST, body, headers=headers)
    assert (refused.status, refused.code) == (400, code)


def test_the_largest_batch_is_taken_whole(server: Caller) -> None:
    events = [track("catalog_read", f"refused-{n}") for n in range(256)]
    assert server.applied(server.ingest(*events))["stored"] == 256


def test_wrong_keys_and_wrong_methods(stack: Stack) -> None:
    unknown = Caller(stack.url, "sk_live_nobodyknowsthiskeyatall0000000")
    for method, path in (("POST", INGEST), ("GET", CONFIG), ("GET", STREAM), ("GET", "/api/projects/demo/changes")):
        body = {"batch": [track("visit", "refused")]} if method == "POST" else None
        refused = unknown.ask(method, path, body)
        assert (refused.status, refused.code) == (401, "auth.invalid_key"), path
        missing = unknown.ask(method, path, body, headers={"Authorization": ""})
        assert (missing.status, missing.code) == (401, "auth.missing_key"), path
    known = Caller(stack.url, stack.secret_key)
    for method, path in (("GET", INGEST), ("POST", CONFIG), ("DELETE", STREAM), ("PUT", f"{known.root}/personas")):
        refused = known.ask(method, path, {} if method in ("POST", "PUT") else None)
        assert (refused.status, refused.code) == (405, "request.method"), path
        assert refused.headers["allow"]
    for path in ("/api/v2/pipeline/nothing", "/api/projects/somebody-elses/personas", f"{known.root}/personas/nothing"):
        refused = known.ask("GET", path)
        assert (refused.status, refused.code) == (404, "not_found"), path


def test_bad_events_are_named_and_the_good_ones_beside_them_are_stored(
    server: Caller, database: psycopg.Connection[Any]
) -> None:
    slug = server.persona("refused-good", count("tasted", 1))
    bad: list[tuple[object, str, str]] = [
        ("text", "event.not_an_object", ""),
        ({"type": "track", "userId": "refused"}, "event.field_missing", "event"),
        ({"type": "dance", "userId": "refused"}, "event.type_unknown", "type"),
        (track("tasted", "refused", properties=[]), "event.field_type", "properties"),
        (track("tasted", "refused", timestamp="yesterday"), "event.timestamp_invalid", "timestamp"),
        (track("tasted", "refused", properties={"text": "\0"}), "event.null_character", "properties"),
        (track("tasted", "r" * 513), "event.id_too_long", "userId"),
        (track("tasted", "refused", properties={"text": "x" * 102_400}), "event.too_large", ""),
    ]
    good = [track("tasted", f"refused-good-{n}") for n in range(len(bad) + 1)]
    mixed = [event for pair in zip(good, bad, strict=False) for event in (pair[0], pair[1][0])] + [good[-1]]
    got = server.ingest(*mixed)
    assert (got.status, got.json()["accepted"], got.json()["rejected"]) == (202, len(good), len(bad))
    errors = [(error["index"], error["code"], error["field"]) for error in got.json()["errors"]]
    assert errors == [(2 * n + 1, code, field) for n, (_, code, field) in enumerate(bad)]
    batch = server.applied(got)
    assert (batch["stored"], batch["duplicates"], batch["rejected"]) == (len(good), 0, len(bad))
    assert [(index, code) for index, code, _ in dead_letters(database, batch)] == [error[:2] for error in errors]
    server.caught_up()
    assert server.members(slug) == {event["userId"] for event in good}


def test_an_event_that_is_found_unfit_later_becomes_a_dead_letter(
    server: Caller, database: psycopg.Connection[Any]
) -> None:
    """Each event is good by itself; together they are more traits than a profile may have."""
    heavy = {f"trait-{n}": "x" * 40_000 for n in range(2)}
    first, second = ({"type": "identify", "userId": "refused-heavy", "traits": {key: heavy[key]}} for key in heavy)
    got = server.ingest(first, second, track("visit", "refused-heavy"))
    assert (got.status, got.json()["accepted"]) == (202, 3)
    batch = server.applied(got)
    assert (batch["stored"], batch["rejected"]) == (2, 1)
    ((index, code, body),) = dead_letters(database, batch)
    assert (index, code) == (1, "profile.traits_too_large")
    assert json.loads(body) == second
    assert set(server.profile("refused-heavy")["traits"]) == {"trait-0"}
