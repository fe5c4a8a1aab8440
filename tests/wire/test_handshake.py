"""The session handshake of browsers: who gets a token, and whose events it may send."""

import time
from datetime import datetime
from typing import Any

import msgspec
import pytest

from keys import sessions, shared
from tests.ingestion.calling import INGEST, Got, Shop, call, call_view, db, elsewhere, shop, way_in

__all__ = ["db", "elsewhere", "shop", "way_in"]  # fixtures

SESSION = "/api/auth/session/"
BATCH = "/api/ingestion/track/batch/"
SECRET = "00ff"


@pytest.fixture
def identity(shop: Shop) -> bytes:
    """Alice's server signs her users."""
    return bytes.fromhex(shared.add(project=shop.project, kind="identity", value=SECRET, actor="test"))


def signed(secret: bytes, user: str, at: int | None = None, **more: Any) -> dict[str, Any]:
    """What the client puts into the handshake."""
    instant = int(time.time()) if at is None else at
    return {"user_id": user, "user_id_sig": sessions.signature(secret, user, instant), "user_id_ts": instant, **more}


def shake(key: str, body: object, scheme: str = "ApiKey", **headers: str) -> Got:
    lines = {"authorization": f"{scheme} {key}", **headers}
    return call_view("POST", SESSION, headers=lines, body=msgspec.json.encode(body))


def refused(answer: Got, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer.body
    assert set(answer.json()) == {"detail", "code"}


def of(shop: Shop) -> list[tuple[Any, Any]]:
    """Whose events lie in the inbox, as the body that is kept says."""
    return [
        (event["user_id"], event["anonymous_id"])
        for row in shop.rows()
        for event in msgspec.json.decode(bytes(row.body))["events"]
    ]


def test_a_signed_user(shop: Shop, identity: bytes) -> None:
    answer = shake(shop.pk, signed(identity, "u-1"))
    assert answer.status == 200
    assert answer.json()["uid"] == "u-1"
    left = datetime.fromisoformat(answer.json()["expires_at"]).timestamp() - time.time()
    assert 890 < left <= 900
    assert answer.json()["expires_at"].endswith("Z")
    assert "." not in answer.json()["expires_at"], "whole seconds"
    assert sessions.verified(answer.json()["token"]).user_id == "u-1"


def test_events_are_of_the_locked_user_whatever_they_say(shop: Shop, identity: bytes) -> None:
    token = shake(shop.pk, signed(identity, "u-1", anonymous_id="a-1")).json()["token"]
    events = [
        {"user_id": "victim", "event_type": "x"},
        {"anonymous_id": "victim", "user_id": "victim", "event_type": "x"},
        {"event_type": "x"},
    ]
    bearer = {"authorization": f"Bearer {token}"}
    answer = call("POST", BATCH, headers=bearer, body=msgspec.json.encode({"events": events}))
    assert answer.json() == {"queued": 3, "skipped": 0}
    assert of(shop) == [("u-1", "a-1")] * 3


def test_an_event_that_hides_another_name(shop: Shop, identity: bytes) -> None:
    """Twice the same key, or something that a second reader reads otherwise: never as somebody else."""
    token = shake(shop.pk, signed(identity, "u-1")).json()["token"]
    twice = b'{"user_id":"u-1","event_type":"x","user_id":"victim"}'
    half = b'{"user_id":"victim","event_type":"x","other":"\\ud800"}'
    body = b'{"events":[' + twice + b"," + half + b"]}"
    answer = call("POST", BATCH, headers={"authorization": f"Bearer {token}"}, body=body)
    assert (answer.json()["queued"], answer.json()["skipped"]) == (1, 1)
    assert b"victim" not in bytes(shop.rows()[0].body)


def test_the_lock_holds_on_the_other_wires(shop: Shop, identity: bytes) -> None:
    token = shake(shop.pk, signed(identity, "u-1")).json()["token"]
    bearer = {"authorization": f"Bearer {token}"}
    alias = {"type": "alias", "userId": "u-1", "previousId": "victim"}
    ours = {"type": "track", "event": "x", "userId": "victim"}
    graph = {"event_id": "1", "project_id": "p", "session.id": "s", "event.type": "x", "user.id": "victim"}
    graph |= {"event.timestamp": "2026-01-01T00:00:00Z"}
    for path, body in (
        (INGEST, {"batch": [ours, alias]}),
        ("/v1/batch", {"batch": [ours, alias]}),
        ("/v1/track", ours),
        ("/v1/alias", alias),
        ("/v1/events", {"events": [graph]}),
        ("/api/ingestion/track", {"user_id": "victim", "event_type": "x"}),
    ):
        assert call("POST", path, headers=bearer, body=msgspec.json.encode(body)).status in (200, 202)
    assert len(shop.rows()) == 6
    assert not [row for row in shop.rows() if b"victim" in bytes(row.body)]


def test_an_anonymous_visitor(shop: Shop, identity: bytes) -> None:
    answer = shake(shop.pk, {"anonymous_id": "a-1"}).json()
    assert answer["uid"] == "a-1"
    event = {"user_id": "victim", "event_type": "x"}
    bearer = {"authorization": f"Bearer {answer['token']}"}
    call("POST", BATCH, headers=bearer, body=msgspec.json.encode({"events": [event]}))
    assert of(shop) == [(None, "a-1")]


def test_nobody_in_particular_gets_an_id(shop: Shop) -> None:
    first, second = shake(shop.pk, {}).json()["uid"], shake(shop.pk, {}).json()["uid"]
    assert first.startswith("anon_")
    assert first != second


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"user_id": "u-2"}, "auth.signature_invalid"),
        ({"user_id_sig": "00" * 32}, "auth.signature_invalid"),
        ({"user_id_sig": None}, "auth.signature_invalid"),
        ({"user_id_sig": "é"}, "auth.signature_invalid"),
        ({"user_id_ts": 1_700_000_000}, "auth.signature_invalid"),
        ({"user_id_ts": "soon"}, "auth.signature_invalid"),
        ({"user_id_ts": None}, "auth.signature_invalid"),
    ],
)
def test_forged(change: dict[str, Any], code: str, shop: Shop, identity: bytes) -> None:
    refused(shake(shop.pk, {**signed(identity, "u-1"), **change}), 401, code)


def test_signed_with_another_secret(shop: Shop, identity: bytes, elsewhere: Shop) -> None:
    theirs = bytes.fromhex(shared.add(project=elsewhere.project, kind="identity", value=None, actor="test"))
    refused(shake(shop.pk, signed(theirs, "u-1")), 401, "auth.signature_invalid")
    assert shake(elsewhere.pk, signed(theirs, "u-1")).status == 200


@pytest.mark.parametrize(("seconds", "good"), [(-290, True), (290, True), (-310, False), (310, False)])
def test_the_window_of_a_signature(seconds: int, good: bool, shop: Shop, identity: bytes) -> None:
    answer = shake(shop.pk, signed(identity, "u-1", int(time.time()) + seconds))
    if good:
        assert answer.status == 200
    else:
        refused(answer, 401, "auth.signature_stale")


def test_the_vector_is_right_and_long_gone(shop: Shop, identity: bytes) -> None:
    vector = {"user_id": "u-1", "user_id_ts": 1_700_000_000}
    right = {**vector, "user_id_sig": "a7eb36c5a0b7c9277674ae0a34b0d227a308362fff28922bb9f752a2c8a43d17"}
    refused(shake(shop.pk, right), 401, "auth.signature_stale")


def test_replayed(shop: Shop, identity: bytes) -> None:
    asked = signed(identity, "u-replayed")
    assert shake(shop.pk, asked).status == 200
    refused(shake(shop.pk, asked), 401, "auth.signature_used")
    refused(shake(shop.pk, {**asked, "user_id_sig": asked["user_id_sig"].upper()}), 401, "auth.signature_used")


def test_two_secrets_while_one_follows_the_other(shop: Shop, identity: bytes) -> None:
    second = bytes.fromhex(shared.add(project=shop.project, kind="identity", value=None, actor="test"))
    assert [shake(shop.pk, signed(secret, "u-3")).status for secret in (identity, second)] == [200, 200]
    shared.remove(secret=shared.of_project(shop.project.pk, "identity")[1], actor="test")
    assert [shake(shop.pk, signed(secret, "u-4")).status for secret in (identity, second)] == [401, 200]


def test_without_a_secret_the_word_of_the_browser_is_good_for_sending_alone(shop: Shop) -> None:
    answer = shake(shop.pk, {"user_id": "u-1"})
    assert answer.json()["uid"] == "u-1"
    session = sessions.verified(answer.json()["token"])
    assert (session.user_id, session.claimed_id) == (None, "u-1")
    refused(shake(shop.pk, signed(b"no secret", "u-1")), 401, "auth.signature_invalid")


def test_where_a_key_may_be_used(shop: Shop) -> None:
    key = shop.key("pk", origins=["https://shop.example"])
    good = shake(key, {}, origin="https://shop.example")
    assert good.headers["access-control-allow-origin"] == "https://shop.example"
    assert good.headers["access-control-allow-credentials"] == "true"
    bad = shake(key, {}, origin="https://elsewhere.example")
    refused(bad, 403, "auth.origin_refused")
    assert bad.headers["access-control-allow-origin"] == "https://elsewhere.example", "so that it can be read"
    bearer = {"authorization": f"Bearer {good.json()['token']}", "origin": "https://elsewhere.example"}
    refused(call("POST", BATCH, headers=bearer, body=b'{"events":[]}'), 403, "auth.origin_refused")


def test_who_else_is_refused(shop: Shop, identity: bytes) -> None:
    refused(shake(shop.sk, {}), 403, "auth.wrong_kind")
    refused(shake("pk_live_nothing", {}), 401, "auth.invalid_key")
    refused(call_view("POST", SESSION, body=b"{}"), 401, "auth.missing_key")
    token = shake(shop.pk, {}).json()["token"]
    refused(shake(token, {}, scheme="Bearer"), 403, "auth.wrong_kind")
    refused(shake(shop.pk, {"user_id": ["u"]}), 400, "request.invalid")
    refused(shake(shop.pk, {"user_id": "u" * 513}), 400, "request.invalid")
    refused(
        call_view("POST", SESSION, headers={"authorization": f"ApiKey {shop.pk}"}, body=b"{"), 400, "request.not_json"
    )


def test_a_token_reads_nothing(shop: Shop, identity: bytes) -> None:
    bearer = {"authorization": f"Bearer {shake(shop.pk, signed(identity, 'u-1')).json()['token']}"}
    for path in (
        "/api/projects/alices/personas",
        "/api/v2/pipeline/batches/b_1",
        "/api/ingestion/stats/?project=alices",
    ):
        assert call_view("GET", path, headers=bearer).status in (401, 403)


def test_a_token_of_one_project_is_of_no_use_in_another(shop: Shop, elsewhere: Shop) -> None:
    token = shake(elsewhere.pk, {"user_id": "u-1"}).json()["token"]
    call("POST", BATCH, headers={"authorization": f"Bearer {token}"}, body=b'{"events":[{"event_type":"x"}]}')
    assert (len(shop.rows()), len(elsewhere.rows())) == (0, 1)
