"""Every refusal in the words of its wire: whatever the status, whoever finds it, and never a page for people."""

import gzip
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.test import Client

from keys.models import Project
from persona import errors
from persona.lib.problems import Problem
from persona.lib.wire import EXPOSED_HEADERS
from tests.ingestion.calling import Got, Shop, call, call_view, db, shop, way_in

__all__ = ["db", "shop", "way_in"]  # fixtures

GRAPH, SEGMENT, SEGOPS = "/v1/events", "/v1/batch", "/api/ingestion/track/batch/"
SHOPIFY, SESSION = "/api/ingestion/shopify/alices/", "/api/auth/session/"
KEYS = {GRAPH: "events", SEGMENT: "batch", SEGOPS: "events"}
BYTES = {GRAPH: 10 * 1024 * 1024, SEGMENT: 4 * 1024 * 1024, SEGOPS: 5 * 1024 * 1024}
every_wire = pytest.mark.parametrize("path", [GRAPH, SEGMENT, SEGOPS])
both_ways = pytest.mark.parametrize("way", [call, call_view])


def plain(answer: Got) -> str:
    """The code of ProductGraph's line of text."""
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    code, _, detail = answer.body.decode().partition(": ")
    assert detail.endswith("\n")
    return code


def segment(answer: Got) -> str:
    document = answer.json()
    assert set(document) == {"success", "code", "message"}
    assert document["success"] is False
    return str(document["code"])


def segops(answer: Got) -> str:
    document = answer.json()
    assert {"detail", "code"} <= set(document)
    return str(document["code"])


SAID: dict[str, Callable[[Got], str]] = {
    GRAPH: plain, SEGMENT: segment, SEGOPS: segops, SHOPIFY: segops, SESSION: segops
}  # fmt: skip


def refused(path: str, answer: Got, status: int, code: str) -> None:
    assert (answer.status, SAID[path](answer)) == (status, code)
    assert answer.headers["x-request-id"]
    assert "<html" not in answer.body.decode()


@both_ways
@pytest.mark.parametrize("path", [GRAPH, SEGMENT, SEGOPS, SHOPIFY, SESSION])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_405(method: str, path: str, way: Any, shop: Shop) -> None:
    answer = way(method, path)
    refused(path, answer, 405, "request.method")
    assert answer.headers["allow"] == "POST, OPTIONS"


@both_ways
@every_wire
def test_401(path: str, way: Any, shop: Shop) -> None:
    refused(path, way("POST", path, body=b"{}"), 401, "auth.missing_key")
    wrong = way("POST", path, headers={"x-api-key": "pk_live_nothing"}, body=b"{}")
    refused(path, wrong, 401, "auth.invalid_key")


@both_ways
@every_wire
def test_403(path: str, way: Any, shop: Shop) -> None:
    key = shop.key("pk", origins=["https://shop.example"])
    answer = way("POST", path, headers={"x-api-key": key, "origin": "https://elsewhere.example"}, body=b"{}")
    refused(path, answer, 403, "auth.origin_refused")
    assert answer.headers["access-control-allow-origin"] == "https://elsewhere.example"


@both_ways
@every_wire
def test_400_not_json(path: str, way: Any, shop: Shop) -> None:
    headers = {"x-api-key": shop.pk}
    refused(path, way("POST", path, headers=headers, body=b"{"), 400, "request.not_json")


@every_wire
def test_400_too_large(path: str, shop: Shop) -> None:
    """As sent, and inflated."""
    headers = {"x-api-key": shop.pk}
    long = b'{"x":"' + b"x" * BYTES[path] + b'"}'
    refused(path, call("POST", path, headers=headers, body=long), 400, "request.too_large")
    small = gzip.compress(long, 1)
    inflated = call("POST", path, headers={**headers, "content-encoding": "gzip"}, body=small)
    refused(path, inflated, 400, "request.too_large")


@every_wire
def test_as_large_as_it_may_be(path: str, shop: Shop) -> None:
    start = b'{"%s":[],"x":"' % KEYS[path].encode()
    body = start + b"x" * (BYTES[path] - len(start) - 2) + b'"}'
    assert call("POST", path, headers={"x-api-key": shop.pk}, body=body).status in (200, 202)


@both_ways
@every_wire
def test_415(path: str, way: Any, shop: Shop) -> None:
    answer = way("POST", path, headers={"x-api-key": shop.pk, "content-encoding": "br"}, body=b"x")
    refused(path, answer, 415, "request.encoding")


@every_wire
def test_any_media_type_is_json(path: str, shop: Shop) -> None:
    body = msgspec.json.encode({KEYS[path]: []})
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", ""):
        answer = call("POST", path, headers={"x-api-key": shop.pk, "content-type": media_type}, body=body)
        assert answer.status in (200, 202)


@every_wire
def test_429(path: str, shop: Shop) -> None:
    Project.objects.filter(pk=shop.project.pk).update(settings={"ingest_rate": 1, "ingest_burst": 2})
    key = {"x-api-key": shop.key("pk")}
    body = msgspec.json.encode({KEYS[path]: [0, 0]})
    assert call("POST", path, headers=key, body=body).status in (200, 202)
    answer = call("POST", path, headers=key, body=body)
    refused(path, answer, 429, "rate.limited")
    assert answer.headers["retry-after"].isdecimal()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/events/nothing",
        "/v1/batch/nothing",
        "/v1/projects/x/nothing",
        "/api/ingestion/nothing",
        "/api/auth/nothing",
        "/api/ingestion/shopify/",
    ],
)
def test_404(path: str, shop: Shop) -> None:
    answer = call_view("POST", path, body=b"{}")
    said = {"/v1/e": plain, "/v1/b": segment, "/v1/p": segment}.get(path[:5], segops)
    assert (answer.status, said(answer)) == (404, "not_found")


@pytest.mark.parametrize("path", [GRAPH, SEGMENT, SEGOPS, SHOPIFY])
@pytest.mark.parametrize("status", [400, 403, 404, 408, 413, 429, 500, 503])
def test_what_others_find_is_said_alike(path: str, status: int) -> None:
    """Django, DRF, and whatever stands before both: one function answers for them."""
    problem = Problem(status, "any.code", "A detail.", retry_after=3)
    answer = errors.answered(problem, path)
    got = Got(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content)
    assert (got.status, SAID[path](got), got.headers["retry-after"]) == (status, "any.code", "3")


def test_what_begins_alike_is_another_address() -> None:
    for path in ("/v1/eventsx", "/v1/tracks", "/v1/ta", "/api/authx", "/v1/personas", "/api/projects/x"):
        assert errors.answered(Problem(404, "not_found", "x"), path)["content-type"] == "application/problem+json"


def test_a_wrong_host(shop: Shop) -> None:
    for path in (GRAPH, SEGMENT, SEGOPS):
        refused(path, call("POST", path, headers={"host": "elsewhere.example"}, body=b"{}"), 400, "request.host")


@pytest.mark.parametrize("path", [GRAPH, SEGMENT, SEGOPS, SESSION])
def test_cors_with_credentials(path: str, shop: Shop) -> None:
    """ProductGraph's client sends credentials: then a browser takes no `*`."""
    origin = {"origin": "https://shop.example"}
    for way in (call, call_view):
        before = way("OPTIONS", path, headers={**origin, "access-control-request-method": "POST"})
        assert before.status == 204
        answer = way(
            "POST", path, headers={**origin, "authorization": f"ApiKey {shop.pk}"}, body=b'{"events":[],"batch":[]}'
        )
        assert answer.status in (200, 202), answer.body
        for got in (before, answer):
            assert got.headers["access-control-allow-origin"] == "https://shop.example"
            assert got.headers["access-control-allow-credentials"] == "true"
            assert got.headers["vary"] == "Origin"
        assert "x-pg-api-key" in before.headers["access-control-allow-headers"]
        assert "POST" in before.headers["access-control-allow-methods"]
        assert answer.headers["access-control-expose-headers"] == EXPOSED_HEADERS


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_settings_of_the_browser_library(slash: str, shop: Shop, client: Client) -> None:
    path = f"/v1/projects/{shop.pk}/settings{slash}"
    answer = call_view("GET", path, headers={"origin": "https://shop.example"})
    assert answer.status == 200
    ours = answer.json()["integrations"]["Segment.io"]
    assert (ours["apiKey"], ours["apiHost"], ours["protocol"]) == (shop.pk, "testserver/v1", "http")
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"


def test_settings_for_whom_they_are_not(shop: Shop) -> None:
    for key, status, code in ((shop.sk, 403, "auth.wrong_kind"), ("pk_live_x", 401, "auth.invalid_key")):
        answer = call_view("GET", f"/v1/projects/{key}/settings")
        assert (answer.status, segment(answer)) == (status, code)
