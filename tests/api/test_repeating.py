"""`Idempotency-Key`: a request that is repeated is done once: at the same time, after a failure, after a crash."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from pytest_django import Settings

from delivery.models import Destination
from keys.api import idempotency
from keys.models import AuditEntry, IdempotencyKey, Project
from keys.services import issue_key
from tests.api.conftest import Api
from tests.delivery.receiver import Receiver, Reply, answer, receiver
from tests.waiting import until

ONCE = {"idempotency-key": "once"}
HOOK = {"kind": "webhook", "name": "crm", "url": "https://crm.example/"}


def post(api: Api, path: str, body: Any = None, **headers: str) -> Any:
    return api.client.post(api.root + path, body or {}, "application/json", headers={**ONCE, **headers})


@pytest.fixture
def inbox(settings: Settings) -> Iterator[Receiver]:
    settings.PERSONA_ALLOW_PRIVATE_DESTINATIONS = True
    with receiver() as one:
        yield one


class Held:
    """A receiver's answer that comes when it is let go: so long the request that asked for it is under way."""

    def __init__(self, inbox: Receiver) -> None:
        self.let_go = threading.Event()
        self._inbox, inbox.reply = inbox, self.reply

    def reply(self, got: Any, line: Any) -> None:
        self.let_go.wait(20)
        said: Reply = answer(200)
        said(got, line)

    def asked(self, times: int = 1) -> None:
        until(lambda: len(self._inbox.got) >= times, "the receiver to be asked")


def at_once(asks: list[Callable[[], Any]]) -> list[Any]:
    """Each on a thread of its own, whose connection is closed behind it."""
    start = threading.Barrier(len(asks))

    def one(ask: Callable[[], Any]) -> Any:
        try:
            start.wait(20)
            return ask()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(one, asks))


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_done(api: Api, project: Project) -> None:
    answers = at_once([lambda: post(api, "destinations", HOOK)] * 6)
    made = [one for one in answers if one.status_code == 201]
    others = [one.json() for one in answers if one.status_code != 201]
    assert made
    assert {one.json()["secret"] for one in made} == {made[0].json()["secret"]}
    assert sum("Idempotency-Replayed" not in one for one in made) == 1
    assert {(one["status"], one["code"]) for one in others} <= {(409, "idempotency.under_way")}
    assert Destination.objects.count() == 1
    again = post(api, "destinations", HOOK)
    assert (again.status_code, again.json(), again["Location"]) == (201, made[0].json(), made[0]["Location"])


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_that_cannot_be_none_blocks_the_key(api: Api, project: Project) -> None:
    answers = at_once([lambda: post(api, "destinations", {**HOOK, "url": "ftp://x"})] * 4)
    assert {one.status_code for one in answers} <= {400, 409}
    assert 400 in {one.status_code for one in answers}
    assert IdempotencyKey.objects.count() == 0
    assert post(api, "destinations", HOOK).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_while_one_is_under_way_others_are_told_to_wait(api: Api, project: Project, inbox: Receiver) -> None:
    hook = post(api, "destinations", {**HOOK, "url": inbox.url}).json()["id"]
    held, path = Held(inbox), f"destinations/{hook}/ping"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(at_once, [lambda: post(api, path)])
        held.asked()
        early = post(api, path)
        other = post(api, path, {"another": "body"})
        held.let_go.set()
        (done,) = first.result(20)
    assert [(one.status_code, one.json()["code"]) for one in (early, other)] == [(409, "idempotency.under_way")] * 2
    assert early["Retry-After"] == "1"
    late = post(api, path)
    assert (late.status_code, late.json(), late["Idempotency-Replayed"]) == (200, done.json(), "true")
    assert len(inbox.got) == 1
    assert post(api, path, {"another": "body"}).json()["code"] == "idempotency.mismatch"


@pytest.mark.django_db(transaction=True)
def test_what_died_in_between_has_not_happened_and_is_done_by_who_repeats_it(
    api: Api, project: Project, inbox: Receiver
) -> None:
    """Its connection ends as it does when a process is killed: nothing that it wrote is left."""
    hook = post(api, "destinations", {**HOOK, "url": inbox.url}).json()["id"]
    held, path = Held(inbox), f"destinations/{hook}/ping"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(at_once, [lambda: post(api, path)])
        held.asked()
        _kill_who_holds_a_key()
        held.let_go.set()
        again = post(api, path, {"other": "body"})
        assert first.result(20)[0].status_code == 503
    assert (again.status_code, "Idempotency-Replayed" in again) == (200, False)
    assert AuditEntry.objects.filter(action="destination.pinged").count() == 1
    assert post(api, path, {"other": "body"})["Idempotency-Replayed"] == "true"


def _kill_who_holds_a_key() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid, 20000) from pg_locks where relation = 'keys_idempotencykey'::regclass"
            " and mode = 'RowShareLock' and pid <> pg_backend_pid()"
        )
        assert cursor.fetchall() == [(True,)]


@pytest.mark.django_db
def test_a_key_is_its_callers_and_its_addresses_own(api: Api, project: Project, alice: User, bob: User) -> None:
    first = post(api, "destinations", HOOK).json()
    _, key = issue_key(project=project, kind="sk", name="other", actor=alice)
    others = [Api("shop", key), Api("shop", user=alice), Api("shop", user=bob)]
    made = [post(one, "destinations", HOOK) for one in others]
    assert {one.status_code for one in made} == {201}
    assert len({first["id"], *(one.json()["id"] for one in made)}) == 4
    assert post(api, "suppressions", {"user_id": "dan"}).status_code == 201
    assert post(api, "destinations/", HOOK)["Idempotency-Replayed"] == "true"  # the same address


@pytest.mark.django_db
def test_after_a_day_a_key_is_new(api: Api, project: Project) -> None:
    first = post(api, "destinations", HOOK).json()
    IdempotencyKey.objects.update(at=F("at") - idempotency.KEPT + timedelta(minutes=1))
    assert post(api, "destinations", HOOK).json()["id"] == first["id"]
    IdempotencyKey.objects.update(at=F("at") - timedelta(minutes=2))
    second = post(api, "destinations", {**HOOK, "name": "another"})
    assert (second.status_code, second.json()["name"], "Idempotency-Replayed" in second) == (201, "another", False)
    IdempotencyKey.objects.update(at=F("at") - idempotency.KEPT)
    assert idempotency.forget_old() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256])
def test_what_is_no_key_is_refused(api: Api, project: Project, key: str) -> None:
    refused = post(api, "destinations", HOOK, **{"idempotency-key": key})
    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency.invalid")
    assert Destination.objects.count() == 0


@pytest.mark.django_db
def test_a_revoked_key_gets_no_answer_of_before(api: Api, project: Project, secret: str) -> None:
    made = post(api, "keys", {"kind": "sk", "name": "temporary"}).json()
    caller = Api("shop", made["key"])
    assert post(caller, "destinations", HOOK).status_code == 201
    assert api.ask("DELETE", f"keys/{made['lookup']}")[0] == 204
    assert post(caller, "destinations", HOOK).status_code == 401


@pytest.mark.django_db
def test_secrets_in_kept_answers_cannot_be_read_in_the_table(api: Api, project: Project) -> None:
    secret = post(api, "destinations", HOOK).json()["secret"]
    key = post(api, "keys", {"kind": "sk", "name": "another"}).json()["key"]
    kept = str(list(IdempotencyKey.objects.values()))
    assert secret not in kept
    assert key not in kept
