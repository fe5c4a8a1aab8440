"""The Pipeline API's own page, sentence by sentence: ingest, configuration, keys, errors. (Its stream: beside.)

Each test quotes the sentences that it stands for.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keys.models import ApiKey, Project
from keys.services import issue_key, rotate_key
from tests.ingestion.calling import CONFIG, EVENT, INGEST, Shop, call, db, shop, way_in

__all__ = ["db", "shop", "way_in"]  # fixtures

QUICKSTART = b"""{
  "batch": [
    { "type": "track", "event": "checkout_completed",
      "properties": { "value": 4900 } }
  ],
  "sentAt": "2026-06-09T10:14:05Z"
}"""
PROGRAM = {"content-type": "application/json"}


def test_everything_happens_under_one_path_with_one_kind_of_key(shop: Shop) -> None:
    """ "Everything happens under /api/v2/pipeline: you POST events to ingest them, GET your runtime config, and hold an
    open GET ..." "every endpoint shares the same bearer authentication." """
    bearer = {"authorization": f"Bearer {shop.sk}"}
    batch = call("POST", "/api/v2/pipeline/ingest", headers=bearer, body=QUICKSTART)
    assert batch.status == 202
    assert call("GET", "/api/v2/pipeline/config", headers=bearer).status == 200
    for method, path in (("POST", INGEST), ("GET", CONFIG), ("GET", "/api/v2/pipeline/stream")):
        assert call(method, path).code == "auth.missing_key"


def test_requests_and_responses_are_json(shop: Shop) -> None:
    """ "All requests and responses are JSON unless noted" """
    accepted = shop.post(QUICKSTART, **PROGRAM)
    assert accepted.headers["content-type"] == "application/json"
    assert json.loads(accepted.body)
    refused = shop.post(b"value=4900", **PROGRAM)
    assert refused.headers["content-type"] == "application/problem+json"
    assert json.loads(refused.body)


def test_a_project_key_in_the_authorization_header(shop: Shop) -> None:
    """ "Authenticate every request with a project key in the Authorization header. Use a publishable key (pk_live_...)
    from the browser and a secret key (sk_live_...) server-side." """
    assert shop.pk.startswith("pk_live_")
    assert shop.sk.startswith("sk_live_")
    for key in (shop.pk, shop.sk):
        assert call("POST", INGEST, headers={"authorization": f"Bearer {key}"}, body=QUICKSTART).status == 202


def test_keys_are_scoped_per_project_and_can_be_rotated(shop: Shop) -> None:
    """ "Keys are scoped per project and can be rotated at any time." """
    shop.post(QUICKSTART)
    assert [row.project_id for row in shop.rows()] == [shop.project.pk]


def test_a_rotated_key_and_its_successor(shop: Shop, way_in: None) -> None:
    """ "can be rotated at any time" """
    old, secret = issue_key(project=shop.project, kind="pk", name="old", actor="test")
    assert shop.ingest(EVENT, key=secret).status == 202
    _, successor = rotate_key(key=old, grace=timedelta(hours=1), actor="test")
    assert [shop.ingest(EVENT, key=key).status for key in (secret, successor)] == [202, 202]
    again = ApiKey.objects.get(replaced_by=None, name="old")
    _, last = rotate_key(key=again, grace=timedelta(0), actor="test")
    assert shop.ingest(EVENT, key=successor).code == "auth.revoked_key"
    assert shop.ingest(EVENT, key=last).status == 202


def test_publishable_keys_are_write_only(shop: Shop) -> None:
    """ "Publishable keys are write-only for ingestion." """
    batch = shop.post(QUICKSTART).json()["batchId"]
    bearer = {"authorization": f"Bearer {shop.pk}"}
    assert call("GET", f"/api/v2/pipeline/batches/{batch}", headers=bearer).code == "auth.wrong_kind"
    assert call("GET", "/api/projects/alices/personas", headers=bearer).status in (403, 404)


def test_config_from_the_browser_is_of_the_originating_project(shop: Shop) -> None:
    """ "Reading config or opening a stream from the browser is scoped to the originating project only." """
    key = shop.key("pk", origins=["https://shop.example"])
    bearer = {"authorization": f"Bearer {key}"}
    ours = call("GET", CONFIG, headers={**bearer, "origin": "https://shop.example"})
    assert ours.status == 200
    theirs = call("GET", CONFIG, headers={**bearer, "origin": "https://elsewhere.example"})
    assert theirs.code == "auth.origin_refused"


@pytest.mark.parametrize("n", [1, 2, 256])
def test_a_batch_of_one_or_more_events(n: int, shop: Shop) -> None:
    """ "Submit a batch of one or more events." "batch required: Array of event objects. Up to 256 events" """
    answer = shop.ingest(*[EVENT] * n)
    assert (answer.status, answer.json()["accepted"]) == (202, n)
    assert [row.n for row in shop.rows()] == [n]


def test_more_than_256_events(shop: Shop) -> None:
    """ "Up to 256 events per request." """
    assert shop.ingest(*[EVENT] * 257).code == "batch.too_many_events"
    assert not shop.rows()


def test_batch_is_required(shop: Shop) -> None:
    """ "batch: required" """
    assert shop.post(b'{"sentAt": "2026-06-09T10:14:05Z"}').code == "batch.missing"


def test_accepted_optimistically(shop: Shop) -> None:
    """ "Batches are accepted optimistically and processed asynchronously; the response confirms receipt, not downstream
    delivery." """
    answer = shop.post(QUICKSTART)
    sk = {"authorization": f"Bearer {shop.sk}"}
    found = call("GET", f"/api/v2/pipeline/batches/{answer.json()['batchId']}", headers=sk)
    assert found.json() == {"batchId": answer.json()["batchId"], "status": "pending"}
    assert [bytes(row.body) for row in shop.rows()] == [QUICKSTART]


def test_many_small_posts_in_sequence(shop: Shop) -> None:
    """ "a busy page sends many small POSTs in sequence" """
    answers = [shop.ingest(EVENT) for _ in range(30)]
    assert {answer.status for answer in answers} == {202}
    assert [row.batch_id for row in shop.rows()] == [answer.json()["batchId"] for answer in answers]


@pytest.mark.parametrize(
    "more",
    [{"sentAt": "2026-06-09T10:14:05Z"}, {"context": {"page": {"path": "/"}}}, {}],
    ids=["sentAt", "context", "none"],
)
def test_sent_at_and_context_are_optional(more: dict[str, Any], shop: Shop) -> None:
    """ "sentAt: ISO-8601 client timestamp" "context: Optional device, page, and library metadata." """
    answer = shop.ingest(EVENT, **more)
    assert answer.status == 202
    assert set(answer.json()) == {"accepted", "batchId"}


def test_the_answer_of_the_example(shop: Shop) -> None:
    """ "202 Accepted { "accepted": 1, "batchId": "b_3kPq..." }" """
    answer = shop.post(QUICKSTART, **PROGRAM)
    assert answer.status == 202
    assert re.fullmatch(r'\{"accepted":1,"batchId":"b_[0-9A-Za-z_-]+"\}', answer.body.decode())


def test_config_of_the_example(shop: Shop) -> None:
    """ "Fetch the runtime configuration for your project: sampling rules, enabled destinations, and feature flags." """
    answer = call("GET", CONFIG, headers={"authorization": f"Bearer {shop.pk}"})
    assert answer.status == 200
    assert answer.json() == {
        "flags": {"streaming": True, "sampleRate": 1.0},
        "flushIntervalMs": 15000,
        "refreshAfter": 45,
        "sampling": [],
        "destinations": [],
    }
    assert b'"sampleRate":1.0' in answer.body


def test_changes_roll_out_without_a_redeploy(shop: Shop) -> None:
    """ "SDKs poll this on a short interval so changes roll out without a redeploy." """
    Project.objects.filter(pk=shop.project.pk).update(settings={"flags": {"newCheckout": True}, "sample_rate": 0.5})
    key = shop.key("pk")
    flags = call("GET", CONFIG, headers={"authorization": f"Bearer {key}"}).json()["flags"]
    assert flags == {"newCheckout": True, "streaming": True, "sampleRate": 0.5}


def test_202(shop: Shop) -> None:
    """ "202: Batch accepted for processing." """
    assert shop.ingest(EVENT).status == 202


def test_400(shop: Shop) -> None:
    """ "400: Malformed payload or batch too large." """
    assert shop.post(b"{").status == 400
    assert shop.ingest(*[EVENT] * 257).status == 400
    assert shop.post(b'{"batch": ["' + b"x" * 1_100_000 + b'"]}').status == 400


def test_401(shop: Shop) -> None:
    """ "401: Missing or invalid project key." """
    assert call("POST", INGEST, body=QUICKSTART).status == 401
    assert shop.ingest(EVENT, key=shop.pk[:-1] + ("a" if shop.pk[-1] != "a" else "b")).status == 401
    assert shop.ingest(EVENT, key="pk_live_8Q2f").status == 401
    expiring = issue_key(
        project=shop.project, kind="pk", name="x", actor="test", expires_at=datetime.now(UTC) + timedelta(days=1)
    )
    ApiKey.objects.filter(pk=expiring[0].pk).update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert shop.ingest(EVENT, key=expiring[1]).code == "auth.expired_key"


def test_429(shop: Shop) -> None:
    """ "Ingestion is rate-limited per key with a generous burst allowance; exceeding it returns 429 with a Retry-After
    header." "429: Rate limited; retry after the given delay." """
    Project.objects.filter(pk=shop.project.pk).update(settings={"ingest_rate": 1, "ingest_burst": 300})
    first, second = shop.key("pk"), shop.key("pk")
    allowed = shop.ingest(*[EVENT] * 256, key=first)
    assert (allowed.status, allowed.headers["ratelimit-limit"], allowed.headers["ratelimit-remaining"]) == (
        202,
        "300",
        "44",
    )
    refused = shop.ingest(*[EVENT] * 256, key=first)
    assert refused.code == "rate.limited"
    assert refused.status == 429
    assert refused.headers["retry-after"].isdecimal()
    assert 150 < int(refused.headers["retry-after"]) <= 212
    assert refused.headers["ratelimit-limit"] == "300"
    assert shop.ingest(EVENT, key=second).status == 202, "per key"
