"""So many requests a second of each key and each person: told in every answer, refused beyond, no concern of others."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from keys.limits import charging
from keys.limits.buckets import Limiter
from keys.models import Project
from keys.services import issue_key
from tests.api.conftest import Api

pytestmark = pytest.mark.django_db
HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@pytest.fixture
def three(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three at once, by a clock that stands still: a second that passes would bring one back."""
    settings.PERSONA_API_RATE, settings.PERSONA_API_BURST = 1, 3
    monkeypatch.setattr(charging, "_alone", Limiter(clock=lambda: 0.0))


def limits(api: Api, path: str = "personas", method: str = "GET") -> tuple[int, list[int]]:
    answer = api.client.generic(method, api.root + path)
    return answer.status_code, [int(answer[name]) for name in HEADERS if name in answer]


def test_every_answer_says_what_is_left_and_the_last_one_when_to_come_back(api: Api, three: None) -> None:
    assert limits(api) == (200, [3, 2, 1])
    assert limits(api, "personas/nobody") == (404, [3, 1, 2])
    assert limits(api, "personas", "PUT") == (405, [3, 0, 3])
    refused = api.client.get(api.root + "keys")
    assert (refused.status_code, refused.json()["code"], refused["Content-Type"]) == (
        429, "rate.limited", "application/problem+json",
    )  # fmt: skip
    assert (refused["Retry-After"], refused["RateLimit-Remaining"]) == ("1", "0")
    assert refused["X-Request-Id"]


def test_each_key_and_each_person_has_their_own(
    api: Api, project: Project, alice: User, bob: User, charlie: User, three: None
) -> None:
    for _ in range(4):
        status, _left = limits(api)
    assert status == 429
    _, key = issue_key(project=project, kind="sk", name="other", actor=alice)
    for caller in (Api("shop", key), Api("shop", user=alice), Api("shop", user=bob)):
        assert limits(caller)[1] == [3, 2, 1]
    outsider = Api("shop", user=charlie)
    assert [limits(outsider)[0] for _ in range(4)] == [404, 404, 404, 429]
    assert limits(Api("elsewhere", user=charlie))[0] == 429


def test_what_is_refused_is_not_done_and_can_be_sent_again(api: Api, three: None, settings: Settings) -> None:
    body, once = {"user_id": "dan"}, {"idempotency-key": "once"}
    for _ in range(3):
        limits(api)
    send = api.client.post
    refused = send(api.root + "suppressions", body, "application/json", headers=once)
    settings.PERSONA_API_RATE = 0
    assert refused.status_code == 429
    assert api.get("suppressions?user_id=dan") == {"suppressed": False}
    done = send(api.root + "suppressions", body, "application/json", headers=once)
    assert (done.status_code, "Idempotency-Replayed" in done) == (201, False)


def test_no_limit_says_nothing_and_who_shows_no_key_is_not_counted(api: Api, settings: Settings) -> None:
    settings.PERSONA_API_RATE = 0
    assert limits(api) == (200, [])
    settings.PERSONA_API_RATE = 1
    stranger = Client().get(api.root + "personas")
    assert (stranger.status_code, [name for name in HEADERS if name in stranger]) == (401, [])
