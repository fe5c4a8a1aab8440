"""Back-pressure: a full inbox refuses, says when to come back, and recovers by itself; long bodies hold up nobody."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from ingestion.accepting import pressure as pressure_room
from ingestion.accepting import readers as readers_room
from ingestion.accepting.pressure import Pressure, pressure, waiting_bytes
from ingestion.accepting.readers import AT_ONCE, Readers, size_of
from ingestion.dialects import pipeline
from persona.lib.problems import Problem
from tests.ingestion.calling import EVENT, Shop, call, db, shop, way_in
from tests.waiting import DEADLINE as PATIENCE

__all__ = ["db", "shop", "way_in"]  # fixtures


@pytest.fixture
def line(shop: Shop) -> Iterator["psycopg.Connection[Any]"]:
    """A connection as the thread has it. In a file that others have left room in, a sample finds what it happens to."""
    with pressure_room._connect() as opened:
        opened.execute("truncate ingestion_batch")
        yield opened


@pytest.fixture
def watched(shop: Shop) -> Iterator[Pressure]:
    """The process's own, as if its thread had never looked."""
    yield pressure
    pressure._note(None)


def test_a_full_inbox_refuses_and_recovers(
    shop: Shop, watched: Pressure, line: "psycopg.Connection[Any]", settings: Settings
) -> None:
    settings.PERSONA_INBOX_MOST_BYTES = 200_000
    for _ in range(5):
        assert shop.ingest({**EVENT, "properties": {"x": os.urandom(40_000).hex()}}).status == 202  # not compressible
    watched.look(line)
    refused = shop.ingest(EVENT)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "ingest.full", "10")
    assert call("GET", "/ready").json()["accepting"] is False
    with connection.cursor() as cursor:  # applied; the room in the file is still there
        cursor.execute("delete from ingestion_batch where project_id = %s", [shop.project.pk])
    watched.look(line)
    assert shop.ingest(EVENT).status == 202
    assert call("GET", "/ready").json()["accepting"] is True


def test_a_disk_that_is_nearly_full(
    shop: Shop, watched: Pressure, line: "psycopg.Connection[Any]", settings: Settings, tmp_path: Any
) -> None:
    settings.PERSONA_LEAST_FREE_BYTES = 2**60
    watched.look(line)
    assert watched.refusal() is None  # somebody else's server: its disk is not known
    settings.PERSONA_HOME = tmp_path
    (tmp_path / "database_url").touch()
    watched.look(line)
    assert shop.ingest(EVENT).code == "ingest.full"
    settings.PERSONA_LEAST_FREE_BYTES = 0
    watched.look(line)
    assert shop.ingest(EVENT).status == 202


def test_parked_batches_do_not_fill_it(shop: Shop, line: "psycopg.Connection[Any]", settings: Settings) -> None:
    settings.PERSONA_INBOX_MOST_BYTES = 0
    assert shop.ingest({**EVENT, "properties": {"x": "y" * 10_000}}).status == 202
    assert 10_000 < waiting_bytes(line) < 20_000
    line.execute("update ingestion_batch set parked = true where project_id = %s", [shop.project.pk])
    assert waiting_bytes(line) == 0


def test_a_sample_is_close(shop: Shop, line: "psycopg.Connection[Any]", settings: Settings) -> None:
    settings.PERSONA_INBOX_MOST_BYTES = 0
    line.execute(
        "insert into ingestion_batch (project_id, batch_id, dialect, n, received_at, body)"
        " select %s, 'b_' || n, 'pipeline', 1, 0, convert_to(repeat('x', 100), 'UTF8')"
        " from generate_series(1, 200000) n",
        [shop.project.pk],
    )
    assert 200_000 * 200 * 0.8 < waiting_bytes(line) < 200_000 * 200 * 1.2


def test_its_thread_looks_and_ends(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressure_room, "EVERY", 0.01)
    own, looked = Pressure(), threading.Event()
    monkeypatch.setattr(own, "look", lambda _: looked.set())
    own.start()
    assert looked.wait(PATIENCE)
    own.stop()
    assert own._thread is not None
    own._thread.join(PATIENCE)
    assert not own._thread.is_alive()


def test_its_thread_outlives_whatever_goes_wrong(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what it said last, perhaps that all are refused, would stand for ever."""
    monkeypatch.setattr(pressure_room, "EVERY", 0.01)
    own, looked = Pressure(), threading.Event()
    failures = [RuntimeError("nobody knows"), psycopg.OperationalError("away")]

    def look(_: object) -> None:
        if failures:
            raise failures.pop()
        looked.set()

    monkeypatch.setattr(own, "look", look)
    own.start()
    assert looked.wait(PATIENCE)
    own.stop()


# --- long bodies ------------------------------------------------------------------------------------------------------


def long_body(events: int = 250) -> bytes:
    body = msgspec.json.encode({"batch": [{**EVENT, "properties": {"x": "y" * 200}}] * events})
    assert len(body) > AT_ONCE
    return body


def test_a_long_body_is_read_beside_the_loop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    judge = pipeline.judge

    def noted(body: bytes) -> Any:
        threads.append(threading.current_thread().name.partition("_")[0])
        return judge(body)

    monkeypatch.setattr(pipeline, "judge", noted)
    answer = shop.post(long_body())
    assert (answer.status, answer.json()["accepted"]) == (202, 250)
    assert shop.post(b'{"batch": [{"type": "page"}]}').status == 202
    assert shop.post(b"[" * AT_ONCE * 2).code == "request.not_an_object"
    assert threads == ["reader", "MainThread", "reader"]


def test_what_a_compressed_body_may_become(shop: Shop) -> None:
    assert size_of(b"x" * 100, "gzip") > size_of(b"x" * 100, None) == size_of(b"x" * 100, "Identity") == 100


def test_more_than_can_be_read_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers_room, "MOST_BYTES", 100)
    own, go = Readers(), threading.Event()
    first = own.run(80, lambda: go.wait(PATIENCE))
    with pytest.raises(Problem) as refused:
        own.run(21, lambda: None)
    assert refused.value.code == "ingest.busy"
    second = own.run(20, lambda: 7)
    go.set()
    assert (first.result(PATIENCE), second.result(PATIENCE)) == (True, 7)
    assert own.run(1_000, lambda: 8).result(PATIENCE) == 8  # alone, anything may be read


def test_a_body_that_nobody_can_read_costs_what_it_is(shop: Shop) -> None:
    shop.project.settings = {"ingest_rate": 1, "ingest_burst": 1_000}
    shop.project.save()
    key = shop.key("sk")
    left = [
        int(shop.post(body, authorization=f"Bearer {key}").headers["ratelimit-remaining"])
        for body in (b"{", b"[" * 80_000)
    ]
    assert left[0] - left[1] == 1 + 80_000 // 4_096


def test_a_key_that_has_nothing_left_is_not_even_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.project.settings = {"ingest_rate": 1, "ingest_burst": 1}
    shop.project.save()
    key = shop.key("sk")
    assert shop.ingest(EVENT, key=key).status == 202
    monkeypatch.setattr(pipeline, "read", lambda _: pytest.fail("it was read"))
    refused = shop.ingest(EVENT, key=key)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "rate.limited", "1")
    assert refused.headers["ratelimit-remaining"] == "0"


def test_what_was_measured_is_told(shop: Shop, settings: Settings) -> None:
    settings.PERSONA_METRICS_TOKEN = "token"
    shop.ingest(EVENT, EVENT)
    shop.post(b"{")
    text = Client().get("/metrics", headers={"authorization": "Bearer token"}).content.decode()
    for name in (
        'persona_ingest_batches_total{wire="pipeline"}',
        'persona_ingest_events_total{wire="pipeline"}',
        'persona_ingest_refusals_total{code="request.not_json",wire="pipeline"}',
        "persona_inbox_commit_seconds_count",
    ):
        assert name in text
