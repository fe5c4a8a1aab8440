"""SegOps' health says what is the matter, and 503: a stopped worker, work that waits for too long."""

from collections.abc import Iterator

import pytest
from django.db import connection

from ingestion import heartbeat
from ingestion.models import Batch
from persona.health.ingest import SILENT_MS
from tests.ingestion.applying import put
from tests.ingestion.calling import Got, Shop, call_view, db, shop, way_in
from tests.segments.living import now_ms

__all__ = ["db", "shop", "way_in"]  # fixtures

HEALTH = "/api/ingestion/health/"


@pytest.fixture(autouse=True)
def alive(shop: Shop) -> Iterator[None]:
    """The worker has just worked; nothing is left of it afterwards."""
    heartbeat.beat(heartbeat.WORKER)
    yield
    with connection.cursor() as cursor:
        cursor.execute("delete from ingestion_heartbeat")


def health() -> Got:
    return call_view("GET", HEALTH)


def not_ok(answer: Got) -> dict[str, str]:
    """What is not well, by SegOps' names."""
    assert answer.headers["content-type"] == "application/json"
    found = {name: answer.json()[name] for name in ("pubsub_topic", "worker", "clickhouse")}
    return {name: word for name, word in found.items() if word != "ok"}


def test_all_is_well(shop: Shop) -> None:
    for path in (HEALTH, HEALTH.rstrip("/")):
        answer = call_view("GET", path)
        assert (answer.status, not_ok(answer)) == (200, {})
        assert answer.headers["cache-control"] == "no-store"


def test_a_worker_that_has_stopped(shop: Shop) -> None:
    with connection.cursor() as cursor:
        cursor.execute("update ingestion_heartbeat set at = at - %s", [SILENT_MS + 1_000])
    answer = health()
    assert (answer.status, not_ok(answer)) == (503, {"worker": "stopped"})
    assert answer.headers["retry-after"] == "5"


def test_a_worker_that_never_worked(shop: Shop) -> None:
    with connection.cursor() as cursor:
        cursor.execute("delete from ingestion_heartbeat")
    answer = health()
    assert (answer.status, not_ok(answer)) == (503, {"worker": "stopped"})


def test_work_that_waits_for_too_long(shop: Shop) -> None:
    put(shop.project, {"type": "page"}, received_at=now_ms() - 61_000)
    answer = health()
    assert (answer.status, not_ok(answer)) == (503, {"pubsub_topic": "late"})
    assert answer.json()["lag_ms"] > 60_000
    Batch.objects.filter(project=shop.project).update(received_at=now_ms() - 30_000)
    assert health().status == 200
