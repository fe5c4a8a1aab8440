"""When the fault is ours: every wire says so in its own words, and whoever is beside is served.

The failures are real ones: a row that the database refuses, a table that is not there.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test import Client, RequestFactory
from structlog.stdlib import ProcessorFormatter

from keys import shared
from tests.ingestion.calling import INGEST, Got, Shop, call, db, elsewhere, shop, way_in
from tests.wire.test_problems import plain, segment, segops
from tests.wire.test_shopify import PATH as SHOPIFY
from tests.wire.test_shopify import SIGNED, VECTOR

__all__ = ["db", "elsewhere", "shop", "way_in"]  # fixtures

NOW = "2026-01-01T00:00:00Z"
GRAPH = {"event_id": "1", "project_id": "p", "session.id": "s", "event.type": "x", "event.timestamp": NOW}
TRACK = {"type": "track", "event": "x", "userId": "u"}
ASKED: dict[str, Any] = {
    INGEST: {"batch": [TRACK]},
    "/v1/events": {"events": [GRAPH]},
    "/v1/batch": {"batch": [TRACK]},
    "/v1/t": TRACK,
    "/api/ingestion/track/": {"user_id": "u", "event_type": "x"},
    "/api/ingestion/track/batch/": {"events": [{"user_id": "u", "event_type": "x"}]},
}


def ours(answer: Got) -> str:
    return answer.code


SAID: dict[str, Callable[[Got], str]] = {
    INGEST: ours, "/v1/events": plain, "/v1/batch": segment, "/v1/t": segment,
    "/api/ingestion/track/": segops, "/api/ingestion/track/batch/": segops,
}  # fmt: skip


def through_django(method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b"") -> Got:
    """As a server would: the test client by itself raises what the product does not catch."""
    lines = {"host": "testserver", **(headers or {})}
    client = Client(raise_request_exception=False)
    answer = client.generic(method, path, body, "application/json", headers=lines)
    return Got(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content)


def failed(answer: Got, said: Callable[[Got], str], secret: str) -> None:
    assert (answer.status, said(answer)) == (500, "internal")
    assert answer.headers["x-request-id"]
    text = answer.body.decode()
    assert not [word for word in (secret, "<html", "Traceback", "psycopg", "relation", "constraint") if word in text]


@contextmanager
def refused_rows(shop: Shop) -> Iterator[None]:
    """The database takes no batch of this shop, and says that it is the row's fault."""
    with connection.cursor() as cursor:
        cursor.execute(f"alter table ingestion_batch add constraint unlucky check (project_id <> {shop.project.pk})")
        try:
            yield
        finally:
            cursor.execute("alter table ingestion_batch drop constraint unlucky")


@contextmanager
def without(table: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"alter table {table} rename to {table}_gone")
        try:
            yield
        finally:
            cursor.execute(f"alter table {table}_gone rename to {table}")


@pytest.mark.parametrize("path", ASKED)
def test_a_batch_that_cannot_be_stored(path: str, shop: Shop, elsewhere: Shop) -> None:
    """500 for it, and 2xx for its neighbor; when the fault is mended the same request is taken."""
    body = msgspec.json.encode(ASKED[path])
    mine, theirs = ({"authorization": f"Bearer {one.sk}"} for one in (shop, elsewhere))
    with refused_rows(shop):
        for way in (call, through_django):
            failed(way("POST", path, headers=mine, body=body), SAID[path], shop.sk)
            assert way("POST", path, headers=theirs, body=body).status in (200, 202)
    assert not shop.rows()
    assert len(elsewhere.rows()) == 2
    assert call("POST", path, headers=mine, body=body).status in (200, 202)
    assert len(shop.rows()) == 1


@pytest.mark.parametrize("way", [call, through_django])
@pytest.mark.parametrize("given", ["", "mine-1", "not sane"])
def test_the_id_of_a_failure_leads_to_its_line_in_the_log(
    way: Callable[..., Got], given: str, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"authorization": f"Bearer {shop.sk}", **({"x-request-id": given} if given else {})}
    with refused_rows(shop):
        answer = way("POST", INGEST, headers=headers, body=msgspec.json.encode(ASKED[INGEST]))
    assert answer.status == 500
    (line,) = [record.msg for record in caplog.records if "request.failed" in str(record.msg)]
    assert isinstance(line, dict)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (answer.headers["x-request-id"] == given) is (given == "mine-1")


def test_what_is_refused_is_logged_with_its_id() -> None:
    """Django says it when the request is over."""
    record = logging.LogRecord("django.request", logging.WARNING, "", 0, "Not Found: %s", ("/x",), None)
    record.request = RequestFactory(headers={"x-request-id": "mine-2"}).get("/x")
    (handler,) = [one for one in logging.getLogger().handlers if isinstance(one.formatter, ProcessorFormatter)]
    assert json.loads(handler.format(record))["request_id"] == "mine-2"


def test_a_webhook_that_cannot_be_stored(shop: Shop) -> None:
    """Shopify sends it again later."""
    shared.add(project=shop.project, kind="shopify", value="hush", actor="test")
    signed = {"x-shopify-hmac-sha256": SIGNED, "x-shopify-topic": "orders/create"}
    with refused_rows(shop):
        failed(through_django("POST", SHOPIFY, headers=signed, body=VECTOR), segops, "hush")
    with without("keys_project"):
        failed(through_django("POST", SHOPIFY, headers=signed, body=VECTOR), segops, "hush")
    assert through_django("POST", SHOPIFY, headers=signed, body=VECTOR).status == 200
    assert len(shop.rows()) == 1


@pytest.mark.parametrize(
    ("method", "path", "table"),
    [
        ("GET", "/api/ingestion/stats/", "ingestion_eventhour"),
        ("GET", "/api/ingestion/errors/", "ingestion_deadletter"),
        ("POST", "/api/auth/session/", "keys_projectsecret"),
        ("POST", "/api/auth/token/", "auth_user"),
        ("GET", "/api/v2/pipeline/batches/b_1", "ingestion_appliedbatch"),
    ],
)
def test_a_question_that_cannot_be_answered(method: str, path: str, table: str, shop: Shop) -> None:
    key = shop.pk if "session" in path else shop.sk
    body = b'{"user_id": "u-1", "username": "alice", "password": "hush"}' if method == "POST" else b""
    headers = {} if "token" in path else {"authorization": f"Bearer {key}"}
    with without(table):
        failed(through_django(method, path, headers=headers, body=body), ours if "v2" in path else segops, key)
