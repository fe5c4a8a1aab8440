"""Ingest at its door: credentials, origins, encodings, limits, and the same answer through ASGI and through Django."""

import gzip
import zlib
from base64 import b64encode
from typing import Any

import msgspec
import pytest

from ingestion.models import AppliedBatch
from keys.models import ApiKey, Project
from tests.ingestion.calling import (
    CONFIG,
    EVENT,
    INGEST,
    Got,
    Shop,
    call,
    call_view,
    db,
    elsewhere,
    plain,
    shop,
    way_in,
)

__all__ = ["db", "elsewhere", "shop", "way_in"]  # fixtures

BODY = msgspec.json.encode({"batch": [EVENT]})
PAGE = "https://shop.example"
BEARER = "Bearer KEY"  # KEY becomes the shop's publishable key

CREDENTIALS = {
    "bearer": {"authorization": "Bearer KEY"},
    "lower case": {"authorization": "bearer KEY"},
    "api key": {"authorization": "ApiKey KEY"},
    "x-api-key": {"x-api-key": "KEY"},
    "x-pg-api-key": {"x-pg-api-key": "KEY"},
}


def with_key(headers: dict[str, str], key: str) -> dict[str, str]:
    return {name: value.replace("KEY", key) for name, value in headers.items()}


@pytest.mark.parametrize("headers", CREDENTIALS.values(), ids=CREDENTIALS.keys())
@pytest.mark.parametrize("kind", ["pk", "sk"])
def test_every_form_of_credential(headers: dict[str, str], kind: str, shop: Shop) -> None:
    assert call("POST", INGEST, headers=with_key(headers, getattr(shop, kind)), body=BODY).status == 202


def test_the_key_as_a_user_name(shop: Shop) -> None:
    basic = "Basic " + b64encode(f"{shop.pk}:".encode()).decode()
    assert call("POST", INGEST, headers={"authorization": basic}, body=BODY).status == 202


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "auth.missing_key"),
        ({"authorization": "Bearer "}, "auth.missing_key"),
        ({"authorization": "Bearer nonsense"}, "auth.invalid_key"),
        ({"authorization": "Basic !!!"}, "auth.invalid_key"),
        ({"authorization": "Bearer pk_live_\xff"}, "auth.invalid_key"),
        ({"authorization": "Bearer pk_live_" + "a" * 32}, "auth.invalid_key"),
    ],
)
def test_no_good_key(headers: dict[str, str], code: str, shop: Shop) -> None:
    answer = call("POST", INGEST, headers=headers, body=BODY)
    assert (answer.status, answer.code) == (401, code)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_without_the_scope(shop: Shop) -> None:
    reader = shop.key("sk", scopes=["personas:read"])
    assert shop.ingest(EVENT, key=reader).code == "auth.scope_missing"
    writer = shop.key("sk", scopes=["events:write"])
    assert shop.ingest(EVENT, key=writer).status == 202


def test_a_revoked_key(shop: Shop) -> None:
    key = shop.key("pk")
    ApiKey.objects.filter(project=shop.project).update(revoked_at="2026-01-01T00:00:00Z")
    assert shop.ingest(EVENT, key=key).code == "auth.revoked_key"


# --- Request ids, safety, hosts ---------------------------------------------------------------------------------------

ASKED = {
    "accepted": ("POST", INGEST, BODY, BEARER, 202),
    "slash": ("POST", INGEST + "/", BODY, BEARER, 202),
    "config": ("GET", CONFIG, b"", BEARER, 200),
    "config slash": ("GET", CONFIG + "/", b"", BEARER, 200),
    "unauthorized": ("POST", INGEST, BODY, "", 401),
    "malformed": ("POST", INGEST, b"{", BEARER, 400),
    "method": ("PUT", INGEST, BODY, BEARER, 405),
    "preflight": ("OPTIONS", INGEST, b"", "", 204),
    "unknown": ("GET", "/api/v2/pipeline/nothing", b"", "", 404),
    "unknown slash": ("GET", "/api/v2/nothing/", b"", "", 404),
    "no batch": ("GET", "/api/v2/pipeline/batches/b_none", b"", "", 401),
}


@pytest.mark.parametrize(("method", "path", "body", "key", "status"), ASKED.values(), ids=ASKED.keys())
def test_a_request_id_on_everything(method: str, path: str, body: bytes, key: str, status: int, shop: Shop) -> None:
    headers = with_key({"authorization": key}, shop.pk) if key else {}
    ours = call(method, path, headers=headers, body=body)
    assert ours.status == status
    assert ours.headers["x-request-id"].startswith("req_")
    assert ours.headers["x-content-type-options"] == "nosniff"
    assert ours.headers["content-type"] in ("application/json", "application/problem+json")
    theirs = call(method, path, headers={**headers, "x-request-id": "trace:7/a"}, body=body)
    assert theirs.headers["x-request-id"] == "trace:7/a"
    unsafe = call(method, path, headers={**headers, "x-request-id": 'x" onload'}, body=body)
    assert unsafe.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("path", [INGEST, CONFIG, "/api/v2/pipeline/nothing"])
def test_another_host_is_refused(path: str, shop: Shop) -> None:
    for host in ("evil.example", "", "testserver:x", "a b"):
        answer = call("GET", path, headers={"host": host})
        if path == "/api/v2/pipeline/nothing" and not host:
            continue  # Django takes the server's own name then
        assert (answer.status, answer.code) == (400, "request.host")
    assert call("POST", INGEST, headers={"host": "testserver:8080"}, body=BODY).status == 401


def test_the_wrong_method(shop: Shop) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        answer = call(method, INGEST)
        assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert call("GET", INGEST).code == "request.method"
    assert call("POST", CONFIG).headers["allow"] == "GET, HEAD, OPTIONS"


# --- Origins ----------------------------------------------------------------------------------------------------------


def test_a_preflight_needs_no_key(shop: Shop) -> None:
    answer = call("OPTIONS", INGEST, headers={"origin": PAGE, "access-control-request-method": "POST"})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    named = "authorization content-type last-event-id x-retry-count x-pg-api-key x-api-key x-request-id idempotency-key"
    assert {*named.split(), "if-none-match"} <= set(allowed)


def test_the_allow_list_counts_on_the_request(shop: Shop) -> None:
    key = shop.key("pk", origins=[PAGE])
    for origin, status in ((PAGE, 202), ("https://evil.example", 403), ("null", 403)):
        answer = shop.ingest(EVENT, key=key, headers={"origin": origin})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, origin)
        assert answer.headers["vary"] == "Origin"
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert shop.ingest(EVENT, key=key, headers={"origin": "https://evil.example"}).code == "auth.origin_refused"
    assert shop.ingest(EVENT, key=key).status == 202, "no browser, no origin"


def test_an_empty_list_allows_any_origin(shop: Shop) -> None:
    answer = shop.ingest(EVENT, headers={"origin": "https://anywhere.example"})
    assert answer.status == 202
    assert answer.headers["access-control-allow-origin"] == "https://anywhere.example"


@pytest.mark.parametrize("body", [b"{", BODY])
def test_refusals_can_be_read_by_the_page(body: bytes, shop: Shop) -> None:
    answer = call("POST", INGEST, headers={"origin": PAGE, "authorization": "Bearer x"}, body=body)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, PAGE)


# --- Bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media_type",
    ["application/json; charset=utf-8", "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"],
)
def test_json_under_another_name(media_type: str, shop: Shop) -> None:
    assert shop.post(BODY, content_type=media_type).status == 202
    answer = call_view(
        "POST", INGEST, headers={"authorization": f"Bearer {shop.pk}", "content-type": media_type}, body=BODY
    )
    assert answer.status == 202


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(BODY)), ("GZIP", gzip.compress(BODY)), ("deflate", zlib.compress(BODY))],
    ids=["gzip", "GZIP", "deflate"],
)
def test_a_compressed_body_is_kept_inflated(encoding: str, packed: bytes, shop: Shop) -> None:
    assert shop.post(packed, content_encoding=encoding).status == 202
    assert [bytes(row.body) for row in shop.rows()] == [BODY]


def test_a_gzip_body_of_several_members(shop: Shop) -> None:
    assert shop.post(gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), content_encoding="gzip").status == 202
    assert [bytes(row.body) for row in shop.rows()] == [BODY]


@pytest.mark.parametrize(
    "more",
    [b"garbage", b"\x00", gzip.compress(b"")[:-1], gzip.compress(b"") * 100],
    ids=["garbage", "zero", "cut", "too many"],
)
def test_nothing_of_a_gzip_body_is_passed_over(more: bytes, shop: Shop) -> None:
    assert shop.post(gzip.compress(BODY) + more, content_encoding="gzip").code == "request.encoding_broken"


def test_other_encodings(shop: Shop) -> None:
    assert (shop.post(BODY, content_encoding="br").status, shop.post(BODY, content_encoding="br").code) == (
        415,
        "request.encoding",
    )
    assert shop.post(BODY, content_encoding="gzip").code == "request.encoding_broken"
    assert shop.post(gzip.compress(BODY)[:-3], content_encoding="gzip").code == "request.encoding_broken"
    assert shop.post(gzip.compress(BODY)).code == "request.not_json"


BIG = b'{"batch":[],"x":"' + b"x" * 1_048_576 + b'"}'


@pytest.mark.parametrize(
    ("body", "headers", "chunks"),
    [
        (BIG, {"content-length": str(len(BIG))}, 1),
        (BIG, {}, 1),
        (BIG, {}, 40),
        (gzip.compress(BIG), {"content-encoding": "gzip"}, 1),
        (b"", {"content-length": "99999999999999"}, 1),
    ],
    ids=["declared", "undeclared", "in chunks", "bomb", "declared only"],
)
def test_a_body_that_is_too_large(body: bytes, headers: dict[str, str], chunks: int, shop: Shop) -> None:
    answer = call("POST", INGEST, headers={"authorization": f"Bearer {shop.pk}", **headers}, body=body, chunks=chunks)
    assert (answer.status, answer.code) == (400, "request.too_large")


def test_a_body_in_pieces(shop: Shop) -> None:
    assert call("POST", INGEST, headers={"authorization": f"Bearer {shop.pk}"}, body=BODY, chunks=7).status == 202
    assert [bytes(row.body) for row in shop.rows()] == [BODY]


# --- What is kept -----------------------------------------------------------------------------------------------------


def test_the_row(shop: Shop) -> None:
    answer = shop.ingest(EVENT, {"type": "nonsense"}).json()
    (row,) = shop.rows()
    key = ApiKey.objects.get(project=shop.project, kind="pk")
    assert (row.batch_id, row.key_id, row.dialect, row.n) == (answer["batchId"], key.pk, "pipeline", 2)
    assert 1_700_000_000_000 < row.received_at < 10_000_000_000_000
    assert msgspec.json.decode(row.body) == {"batch": [EVENT, {"type": "nonsense"}]}


def test_what_is_refused_is_not_kept(shop: Shop) -> None:
    shop.post(b"{")
    shop.ingest(*[EVENT] * 257)
    call("POST", INGEST, body=BODY)
    assert shop.rows() == []


def test_projects_are_apart(shop: Shop, elsewhere: Shop) -> None:
    mine = shop.ingest(EVENT).json()["batchId"]
    elsewhere.ingest(EVENT)
    assert [len(shop.rows()), len(elsewhere.rows())] == [1, 1]
    theirs = call("GET", f"/api/v2/pipeline/batches/{mine}", headers={"authorization": f"Bearer {elsewhere.sk}"})
    absent = call("GET", "/api/v2/pipeline/batches/b_none", headers={"authorization": f"Bearer {elsewhere.sk}"})
    assert (theirs.status, theirs.body) == (absent.status, absent.body) == (404, absent.body)


def test_the_limit_is_told_on_every_answer(shop: Shop) -> None:
    Project.objects.filter(pk=shop.project.pk).update(settings={"ingest_rate": 1, "ingest_burst": 10})
    key = shop.key("pk")
    seen = [
        shop.ingest(EVENT, key=key),
        shop.ingest(key=key),
        shop.ingest(*[EVENT] * 8, key=key),
        shop.ingest(EVENT, key=key),
    ]
    assert [answer.status for answer in seen] == [202, 400, 202, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in seen] == ["9", "8", "0", "0"]
    assert {answer.headers["ratelimit-limit"] for answer in seen} == {"10"}
    assert (seen[3].code, seen[3].headers["retry-after"]) == ("rate.limited", "1")
    assert 0 < int(seen[3].headers["ratelimit-reset"]) <= 10


# --- What became of a batch -------------------------------------------------------------------------------------------


def became(shop: Shop, batch: str) -> Any:
    return call("GET", f"/api/v2/pipeline/batches/{batch}/", headers={"authorization": f"Bearer {shop.sk}"}).json()


def test_what_became_of_a_batch(shop: Shop) -> None:
    batch = shop.ingest(EVENT).json()["batchId"]
    assert became(shop, batch) == {"batchId": batch, "status": "pending"}
    (row,) = shop.rows()
    row.parked, row.error = True, "KeyError: pipeline"
    row.save()
    assert became(shop, batch) == {"batchId": batch, "status": "parked", "error": "KeyError: pipeline"}
    AppliedBatch.objects.create(project=shop.project, batch_id=batch, stored=3, duplicates=2, rejected=1, at=0)
    counts = {"stored": 3, "duplicates": 2, "rejected": 1}
    assert became(shop, batch) == {"batchId": batch, "status": "applied", **counts}


# --- Configuration ----------------------------------------------------------------------------------------------------


def config(shop: Shop, **headers: str) -> Got:
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return call("GET", CONFIG, headers={"authorization": f"Bearer {shop.pk}", **lines})


def test_an_unchanged_configuration_is_not_sent_again(shop: Shop) -> None:
    tag = config(shop).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = config(shop, if_none_match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert config(shop, if_none_match='"other"').status == 200


def test_a_project_without_streams_for_pages(shop: Shop) -> None:
    Project.objects.filter(pk=shop.project.pk).update(
        settings={"pk_streams": "off", "flags": {"streaming": True}, "refresh_after": 5, "flush_interval_ms": 100}
    )
    seen = {}
    for kind in ("pk", "sk"):
        key = shop.key(kind)
        document = call("GET", CONFIG, headers={"authorization": f"Bearer {key}"}).json()
        seen[kind] = document["flags"]["streaming"]
        assert (document["refreshAfter"], document["flushIntervalMs"]) == (5, 100)
    assert seen == {"pk": False, "sk": True}


# --- Two ways, one answer ---------------------------------------------------------------------------------------------

WAYS = {
    "accepted": ("POST", INGEST, {"authorization": BEARER}, BODY),
    "slash": ("POST", INGEST + "/", {"authorization": BEARER}, BODY),
    "origin": ("POST", INGEST, {"authorization": BEARER, "origin": PAGE}, BODY),
    "no key": ("POST", INGEST, {"origin": PAGE}, BODY),
    "bad key": ("POST", INGEST, {"authorization": "Bearer nonsense"}, BODY),
    "malformed": ("POST", INGEST, {"authorization": BEARER}, b"{"),
    "empty": ("POST", INGEST, {"authorization": BEARER}, b""),
    "encoding": ("POST", INGEST, {"authorization": BEARER, "content-encoding": "br"}, BODY),
    "gzip": ("POST", INGEST, {"authorization": BEARER, "content-encoding": "gzip"}, gzip.compress(BODY)),
    "too large": ("POST", INGEST, {"authorization": BEARER, "content-length": str(len(BIG))}, BIG),
    "inflated": ("POST", INGEST, {"authorization": BEARER, "content-encoding": "gzip"}, gzip.compress(BIG)),
    "method": ("DELETE", INGEST, {"authorization": BEARER}, b""),
    "get": ("GET", INGEST, {"authorization": BEARER}, b""),
    "preflight": ("OPTIONS", INGEST, {"origin": PAGE}, b""),
    "config": ("GET", CONFIG, {"authorization": BEARER, "origin": PAGE}, b""),
    "config 304": ("GET", CONFIG, {"authorization": BEARER, "if-none-match": "*"}, b""),
    "config method": ("POST", CONFIG, {"authorization": BEARER}, b""),
    "config no key": ("GET", CONFIG, {}, b""),
    "config head": ("HEAD", CONFIG, {"authorization": BEARER}, b""),
}


@pytest.mark.parametrize(("method", "path", "headers", "body"), WAYS.values(), ids=WAYS.keys())
def test_asgi_and_django_answer_alike(method: str, path: str, headers: dict[str, str], body: bytes, shop: Shop) -> None:
    lines = {**with_key(headers, shop.pk), "x-request-id": "same"}
    raw, view = (plain(way(method, path, headers=lines, body=body)) for way in (call, call_view))
    if method == "HEAD":
        raw, view = raw._replace(body=b""), view._replace(body=b"")  # a server sends none
    assert raw == view
