"""/health and /ready: what an orchestrator asks."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from keys.models import Project
from persona.health import readiness
from tests.pages import rows
from tests.waiting import until


def test_health_depends_on_nothing(client: Client) -> None:
    """No database mark here: a query would fail the test."""
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/health", "/ready"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_probes_are_only_read(method: str, path: str) -> None:
    answer = Client(enforce_csrf_checks=True).generic(method, path)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["code"] == "request.method"


@pytest.mark.django_db(transaction=True)
def test_ready_says_how_old_the_oldest_waiting_batch_is(shop: Project, client: Client) -> None:
    assert client.get("/ready").json() == {"status": "ready", "lag_ms": 0, "stale_ms": 0, "accepting": True}
    insert = (
        "insert into ingestion_batch (project_id, batch_id, dialect, n, received_at, body, parked)"
        " values (%s, %s, 'pipeline', 1, %s, '', %s)"
    )
    rows.run(insert, shop.pk, "b_parked", rows.now() - 9_000_000, True)
    rows.run(insert, shop.pk, "b_waiting", rows.now() - 5_000, False)
    answer = client.get("/ready")
    rows.run("delete from ingestion_batch where project_id = %s", shop.pk)
    assert answer.status_code == 200
    assert 5_000 <= answer.json()["lag_ms"] < 60_000


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Who asks next shares the answer to a question that is still open: none may be left."""
    monkeypatch.setattr(readiness, "PATIENCE", 1)
    yield
    until(lambda: all(answer.done() for answer in readiness._asking._open.values()), "the end of all questions")


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"], ids=["refused", "silent"])
def test_without_its_database_it_is_not_ready_and_says_so(
    host: str, client: Client, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    away = {"HOST": host, "PORT": "1", "PASSWORD": "hush"}
    for name, value in away.items():
        monkeypatch.setitem(connections.settings["default"], name, value)
    answer = client.get("/ready")
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert {"database", "inbox"} <= set(answer.json()["missing"])
    assert answer.json()["code"] == "service.not_ready"
    assert host not in answer.content.decode()
    assert "hush" not in answer.content.decode()


@pytest.mark.django_db
def test_without_its_queue_it_is_not_ready(client: Client, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis://:hush@127.0.0.1:1/0"
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["queue"])
    assert "hush" not in answer.content.decode()
