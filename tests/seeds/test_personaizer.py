"""The conventions of PersonAIzer's page, as far as they concern the wires and the API that exist.

Of later work, and not here: knowledge documents, personas of PersonAIzer, subscriptions, and their own codes.
"""

from datetime import timedelta

from django.utils import timezone

from keys.models import Project
from tests.ingestion.calling import INGEST, Shop, call, call_view, db, shop, way_in

__all__ = ["db", "shop", "way_in"]  # fixtures

PERSONAS = "/api/projects/alices/personas"


def test_the_key_is_in_a_header(shop: Shop) -> None:
    """ "Send your API key in the X-Api-Key header on every request" """
    assert call("POST", INGEST, headers={"x-api-key": shop.pk}, body=b'{"batch":[{"type":"page"}]}').status == 202
    assert call_view("GET", PERSONAS, headers={"x-api-key": shop.sk}).status == 200


def test_errors_are_problem_documents(shop: Shop) -> None:
    """ "All 4xx/5xx responses follow RFC 7807 Problem Details with Content-Type: application/problem+json. In addition
    to the standard type/title/status/detail fields, every response carries a stable string code extension" """
    for answer in (
        call("POST", INGEST),
        call("PUT", INGEST),
        call_view("GET", PERSONAS),
        call_view("GET", "/api/nothing"),
        call_view("GET", "/api/projects/nobodys/personas", headers={"x-api-key": shop.sk}),
    ):
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "code"} <= set(answer.json())
        assert answer.json()["status"] == answer.status


def test_throttled(shop: Shop) -> None:
    """ "When throttled the response is 429 with header Retry-After: <seconds>" """
    Project.objects.filter(pk=shop.project.pk).update(settings={"ingest_rate": 1, "ingest_burst": 1})
    key = {"x-api-key": shop.key("sk", expires_at=timezone.now() + timedelta(days=1))}
    answers = [call("POST", INGEST, headers=key, body=b'{"batch":[{"type":"page"}]}') for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 429]
    assert answers[1].headers["retry-after"].isdecimal()


def test_correlation(shop: Shop) -> None:
    """ "Every response carries an X-Request-Id header. When you supply one on the request the same value is echoed
    back; otherwise the platform assigns one." """
    for path in (INGEST, "/v1/events", "/v1/batch", "/api/ingestion/track/", PERSONAS, "/api/nothing", "/health"):
        for way in (call, call_view):
            assert way("GET", path, headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
            assert way("GET", path).headers["x-request-id"]
