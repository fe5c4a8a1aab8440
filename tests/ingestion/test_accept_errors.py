"""What nobody has written a view for: problem documents on the paths of programs, small pages elsewhere."""

from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import connection
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from persona import errors
from persona.lib.problems import Problem
from tests.ingestion.calling import INGEST, Shop, call, call_view, db, shop, way_in

__all__ = ["db", "shop", "way_in"]  # fixtures

RAISED: dict[str, Exception] = {
    "problem": Problem(409, "thing.taken", "Taken.", retry_after=3),
    "404": Http404(),
    "not found": exceptions.NotFound(),
    "not authenticated": exceptions.NotAuthenticated(),
    "authentication failed": exceptions.AuthenticationFailed(),
    "denied": PermissionDenied(),
    "drf denied": exceptions.PermissionDenied(),
    "validation": exceptions.ValidationError({"name": ["This is required."]}),
    "parse": exceptions.ParseError(),
    "media type": exceptions.UnsupportedMediaType("text/html"),
    "not acceptable": exceptions.NotAcceptable(),
    "throttled": exceptions.Throttled(wait=1.2),
    "suspicious": SuspiciousOperation("?"),
    "too big": RequestDataTooBig(),
    "fault": ZeroDivisionError("secret"),
}
ANSWERS = {
    "problem": (409, "thing.taken"),
    "404": (404, "not_found"),
    "not found": (404, "not_found"),
    "not authenticated": (401, "auth.missing_key"),
    "authentication failed": (401, "auth.invalid_key"),
    "denied": (403, "auth.forbidden"),
    "drf denied": (403, "auth.forbidden"),
    "validation": (400, "request.invalid"),
    "parse": (400, "request.not_json"),
    "media type": (415, "request.media_type"),
    "not acceptable": (406, "request.accept"),
    "throttled": (429, "rate.limited"),
    "suspicious": (400, "request.invalid"),
    "too big": (413, "request.too_large"),
    "fault": (500, "internal"),
}


class Raising(APIView):
    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, what: str) -> Response:
        raise RAISED[what]

    def post(self, request: Request, what: str) -> Response:
        return Response(request.data)


def page(request: Any, what: str) -> HttpResponse:
    raise RAISED[what]


urlpatterns = [path("api/raise/<what>", Raising.as_view()), path("v1/raise/<what>", page), path("raise/<what>", page)]
handler400, handler403, handler404, handler500 = errors.bad_request, errors.forbidden, errors.not_found, errors.broken


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("what", RAISED)
def test_a_problem_whatever_was_raised_in_the_api(what: str, client: Client) -> None:
    answer = client.get(f"/api/raise/{what}")
    assert (answer.status_code, answer["Content-Type"]) == (ANSWERS[what][0], "application/problem+json")
    assert answer.json()["code"] == ANSWERS[what][1]
    assert answer["X-Request-Id"]
    assert "secret" not in answer.content.decode()


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("what", ["404", "denied", "suspicious", "too big", "fault"])
def test_a_plain_view_on_the_paths_of_programs(what: str, client: Client) -> None:
    answer = client.get(f"/v1/raise/{what}")
    assert (answer.status_code, answer.json()["code"]) == ANSWERS[what]


@pytest.mark.urls(__name__)
def test_what_these_problems_carry(client: Client) -> None:
    assert client.get("/api/raise/problem")["Retry-After"] == "3"
    assert client.get("/api/raise/throttled")["Retry-After"] == "2"
    assert client.get("/api/raise/not authenticated")["WWW-Authenticate"] == "Bearer"
    assert client.get("/api/raise/validation").json()["errors"] == {"name": ["This is required."]}
    answer = client.delete("/api/raise/problem")
    assert (answer.status_code, answer.json()["code"]) == (405, "request.method")
    assert answer["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert client.post("/api/raise/problem", b"{", "application/json").json()["code"] == "request.not_json"
    assert client.post("/api/raise/problem", b"{}", "text/html").json()["code"] == "request.media_type"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda request: errors.bad_request(request, SuspiciousOperation()), 400),
        (lambda request: errors.forbidden(request, PermissionDenied()), 403),
        (lambda request: errors.not_found(request, Http404()), 404),
        (errors.broken, 500),
    ],
)
@pytest.mark.parametrize("path", ["/projects/shop/", "/apiary"])
def test_a_small_page_for_people(answer: Any, status: int, path: str) -> None:
    found = answer(RequestFactory().get(path))
    assert found.status_code == status
    assert found["Content-Type"].startswith("text/html")
    assert b"<h1>" in found.content


@pytest.mark.parametrize("way", [call, call_view])
@pytest.mark.parametrize("path", ["/api/projects/alices/personas", "/signin/"])
def test_a_body_that_is_too_large(path: str, way: Any, shop: Shop) -> None:
    """At the places in front of Django, and in Django itself as another server has it; for programs and for people."""
    large = b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    kinds = {"/signin/": "application/x-www-form-urlencoded"}
    headers = {"authorization": f"Bearer {shop.sk}", "content-type": kinds.get(path, "application/json")}
    answer = way("POST", path, body=large, headers=headers)
    assert answer.status == 413
    if path in kinds:
        assert b"<h1>" in answer.body
    else:
        assert answer.code == "request.too_large"


def test_absent_and_forbidden_projects_look_alike(db: None) -> None:
    absent = [call("GET", path) for path in ("/api/v2/pipeline/nothing", "/api/nothing/at/all", "/v1/nothing")]
    assert {(answer.status, answer.body) for answer in absent} == {(404, absent[0].body)}
    assert absent[0].code == "not_found"
    assert call("POST", INGEST + "/more").code == "not_found"
    connection.close()


@pytest.mark.parametrize(
    "path", ["/api/v2/pipeline/batches/%00", "/api/projects/x/changes?persona=a%00", "/health?%00"]
)
def test_an_address_that_no_row_can_hold(path: str) -> None:
    answer = Client().get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")


def test_a_form_without_the_token_of_its_page() -> None:
    strict = Client(enforce_csrf_checks=True)
    page = strict.post("/signin/", {"username": "alice"})
    assert (page.status_code, b"Load its page again" in page.content) == (403, True)
    assert strict.post("/v1/nothing").json()["code"] == "not_found"
