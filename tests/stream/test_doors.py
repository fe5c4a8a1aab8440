"""Who may open a stream, and when an open one is closed."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from keys.models import ApiKey, Project
from keys.services import issue_key, revoke_key
from segments.streaming import hub
from tests.stream.conftest import Listen
from tests.stream.listening import Listening
from tests.stream.serving import served
from tests.stream.shop import Shop

ORIGIN = {"Origin": "https://shop.example"}


def test_without_a_key(shop: Shop, listen: Listen) -> None:
    refused = listen(None, headers={**ORIGIN, "X-Request-Id": "mine-1"})
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.headers["x-request-id"] == "mine-1"
    assert refused.headers["access-control-allow-origin"] == "https://shop.example"
    assert refused.problem()["code"] == "auth.missing_key"


def test_with_an_unknown_key(shop: Shop, listen: Listen) -> None:
    refused = listen("pk_live_" + "x" * 32)
    assert (refused.status, refused.problem()["code"]) == (401, "auth.invalid_key")


@pytest.mark.parametrize("given", ["abc", "-1", "1.5", "٣", "1:2"])
def test_a_cursor_that_is_no_number(shop: Shop, listen: Listen, given: str) -> None:
    refused = listen(shop.pk, last=given.encode().decode("latin-1"))
    assert (refused.status, refused.problem()["code"]) == (400, "stream.bad_cursor")


@pytest.mark.parametrize(
    "query", ["?persona=nobody", "?persona=high_intent&persona=nobody", "?persona=", "?persona=%00"]
)
def test_an_unknown_persona(shop: Shop, listen: Listen, query: str) -> None:
    refused = listen(shop.pk, query)
    assert (refused.status, refused.problem()["code"]) == (404, "stream.unknown_persona")


def test_a_deleted_persona_is_unknown(shop: Shop, listen: Listen) -> None:
    shop.churner.deleted_at = timezone.now()
    shop.churner.save()
    assert listen(shop.pk, "?persona=churner").status == 404


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE"])
def test_other_methods(shop: Shop, listen: Listen, method: str) -> None:
    refused = listen(shop.pk, method=method)
    assert refused.status == 405
    assert refused.headers["allow"] == "GET, OPTIONS"
    if method != "HEAD":
        assert refused.problem()["code"] == "request.method"


def test_another_host(shop: Shop, listen: Listen) -> None:
    refused = listen(shop.pk, headers={"Host": "evil.example"})
    assert (refused.status, refused.problem()["code"]) == (400, "request.host")


def test_preflight(shop: Shop, listen: Listen) -> None:
    answer = listen(None, method="OPTIONS", headers=ORIGIN)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-methods"] == "GET, OPTIONS"
    assert "last-event-id" in answer.headers["access-control-allow-headers"]


def test_a_page_may_read_the_stream(shop: Shop, listen: Listen) -> None:
    opened = listen(shop.pk, headers=ORIGIN)
    assert opened.status == 200
    assert opened.headers["access-control-allow-origin"] == "https://shop.example"
    assert opened.headers["vary"] == "Origin"
    assert opened.headers["x-request-id"].startswith("req_")


def test_origins_of_a_key(shop: Shop, listen: Listen) -> None:
    _, key = issue_key(
        project=shop.project, kind="pk", name="shop only", actor="test", origins=["https://shop.example"]
    )
    assert listen(key, headers=ORIGIN).status == 200
    refused = listen(key, headers={"Origin": "https://evil.example"})
    assert refused.headers["access-control-allow-origin"] == "https://evil.example"
    assert (refused.status, refused.problem()["code"]) == (403, "auth.origin_refused")


@pytest.mark.parametrize("mode", ["off", "profile"])
def test_a_project_that_does_not_let_publishable_keys_listen(shop: Shop, listen: Listen, mode: str) -> None:
    shop.project.settings = {"pk_streams": mode}
    shop.project.save()
    refused = listen(shop.pk)
    assert (refused.status, refused.problem()["code"]) == (403, "stream.not_allowed")
    assert listen(shop.sk).status == 200


def test_scopes_of_a_secret_key(shop: Shop, listen: Listen) -> None:
    _, without = issue_key(project=shop.project, kind="sk", name="a", actor="test", scopes=["personas:read"])
    _, given = issue_key(project=shop.project, kind="sk", name="b", actor="test", scopes=["stream:read"])
    refused = listen(without)
    assert (refused.status, refused.problem()["code"]) == (403, "auth.scope_missing")
    assert listen(given).status == 200


def test_charlie_sees_nothing_of_alice(shop: Shop, elsewhere: Shop, listen: Listen) -> None:
    shop.append(5)
    outside = listen(elsewhere.sk, last=0)
    filtered = listen(elsewhere.pk, "?persona=high_intent")
    shop.append(5)
    own = elsewhere.append()
    for opened in (outside, filtered):
        frame = opened.next()
        assert (frame.id, frame.data["profile"]) == (own, "u_elsewhere")


def test_revocation_closes_the_streams_of_that_key_only(shop: Shop, listen: Listen) -> None:
    doomed, other = listen(shop.pk), listen(shop.sk)
    revoke_key(key=shop.pk_key, actor="test")
    assert doomed.ended()
    shop.append()
    assert other.next().id == 1
    assert listen(shop.pk).problem()["code"] == "auth.revoked_key"


@pytest.mark.parametrize("mode", ["off", "profile"])
def test_what_a_project_no_longer_shows_ends_where_it_is_open(shop: Shop, listen: Listen, mode: str) -> None:
    doomed, other = listen(shop.pk), listen(shop.sk)
    Project.objects.filter(pk=shop.project.pk).update(settings={"pk_streams": mode})
    assert doomed.ended()
    shop.append()
    assert other.next().id == 1
    assert listen(shop.pk).problem()["code"] == "stream.not_allowed"


def test_a_scope_that_is_taken_away_ends_the_streams(shop: Shop, listen: Listen) -> None:
    stream = listen(shop.sk)
    ApiKey.objects.filter(pk=shop.sk_key.pk).update(scopes=["personas:read"])
    assert stream.ended()


def test_expiry_closes_the_streams_of_that_key(shop: Shop, listen: Listen) -> None:
    stream = listen(shop.sk)
    ApiKey.objects.filter(pk=shop.sk_key.pk).update(expires_at=timezone.now() + timedelta(seconds=1))
    assert stream.ended()
    assert listen(shop.sk).problem()["code"] == "auth.expired_key"


def test_idle_streams_are_closed(shop: Shop, listen: Listen, settings: Settings) -> None:
    settings.PERSONA_STREAM_HEARTBEAT = 0.2  # heartbeats do not keep it open
    settings.PERSONA_STREAM_IDLE = 1
    assert listen(shop.pk).ended()


def test_a_server_that_stops_ends_its_streams_cleanly(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with served() as port:
        opened = Listening(port, shop.pk)
        opened.next("heartbeat")
    assert opened.ended()
    opened.close()
    assert not [record for record in caplog.records if "Exception in ASGI" in record.message]


def test_a_database_that_does_not_answer(shop: Shop, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction.atomic(), connection.cursor() as cursor, monkeypatch.context() as impatient:
        impatient.setattr(hub, "PATIENCE", 0.2)
        cursor.execute("lock table segments_head")
        refused = listen(shop.pk)
    assert refused.headers["retry-after"] == "2"
    assert (refused.status, refused.problem()["code"]) == (503, "stream.unavailable")
    assert listen(shop.pk).status == 200


def test_old_streams_are_closed(shop: Shop, listen: Listen, settings: Settings) -> None:
    settings.PERSONA_STREAM_AGE = 1
    assert listen(shop.pk).ended()
