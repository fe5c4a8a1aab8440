"""What is edited reaches the SDKs at their next poll: flags, sampling, intervals, names of destinations."""

import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import Project
from keys.services import issue_key
from keys.sessions import LIFETIME, Session, issued
from tests.api.conftest import Api
from tests.ingestion.applying import identify, put
from tests.segments.living import now_ms, persona, settle, trait

JSON: Any = {"content_type": "application/json"}


def edit(api: Api, **changes: Any) -> None:
    answer = api.client.patch(api.root + "settings", changes, headers={"if-match": "*"}, **JSON)
    assert answer.status_code == 200, answer.content


def sent_by(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}", "host": "localhost"}


def polled(credential: str) -> Any:
    answer = Client().get("/api/v2/pipeline/config", headers=sent_by(credential))
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.django_db(transaction=True)
def test_what_is_edited_is_told_at_the_next_poll(api: Api, project: Project, secret: str) -> None:
    before = Client().get("/api/v2/pipeline/config", headers=sent_by(secret))["ETag"]
    edit(api, flags={"checkout": "B"}, sampling=[{"event": "page_*", "rate": 0.1}], flush_interval_ms=5_000)
    api.ask("POST", "destinations", {"kind": "webhook", "name": "crm", "url": "https://crm.example/"})
    told = polled(secret)
    assert told["flags"]["checkout"] == "B"
    assert told["sampling"] == [{"event": "page_*", "rate": 0.1}]
    assert told["flushIntervalMs"] == 5_000
    assert told["destinations"] == ["crm"]
    same = {**sent_by(secret), "if-none-match": before}
    assert Client().get("/api/v2/pipeline/config", headers=same).status_code == 200


@pytest.mark.django_db
def test_names_of_destinations_are_not_set_by_hand(api: Api, project: Project) -> None:
    edit(api, sample_rate=0.5)
    answer = api.client.patch(api.root + "settings", {"destinations": ["x"]}, headers={"if-match": "*"}, **JSON)
    assert answer.json()["code"] == "settings.invalid"


@pytest.mark.django_db(transaction=True)
def test_a_flag_may_depend_on_a_persona_for_whoever_is_proven_to_be_one(
    api: Api, project: Project, alice: User, secret: str
) -> None:
    persona(project, "vip", trait("plan", "pro"))
    put(project, identify("ann", {"plan": "pro"}), identify("bob", {"plan": "free"}), received_at=now_ms())
    settle()
    edit(api, flags={"lounge": {"persona": "vip", "on": "open", "off": "closed"}, "beta": {"persona": "vip"}})
    key, publishable = issue_key(project=project, kind="pk", name="site", actor=alice)

    def session(user: str | None, claimed: str | None = None) -> str:
        return issued(
            Session(
                project_id=project.pk, key_id=key.pk, kind="pk", mode="live", lookup=key.lookup, user_id=user,
                claimed_id=claimed, expires_at=int(time.time()) + LIFETIME,
            )
        )  # fmt: skip

    assert polled(session("ann"))["flags"] | {"lounge": "open", "beta": True} == polled(session("ann"))["flags"]
    for other in (session("bob"), session(None, "ann"), session("nobody"), publishable, secret):
        found = polled(other)["flags"]
        assert (found["lounge"], found["beta"]) == ("closed", False)


@pytest.mark.django_db
@pytest.mark.parametrize("number", ["1e400", "-1e999", "NaN", "Infinity"])
def test_a_number_that_no_row_can_hold_is_refused(api: Api, number: str) -> None:
    body = f'{{"flags": {{"deep": [{{"in": {number}}}]}}}}'
    answer = api.client.patch(api.root + "settings", body, headers={"if-match": "*"}, **JSON)
    assert (answer.status_code, answer.json()["code"].partition(".")[0]) in ((400, "settings"), (400, "request"))
    assert api.get("settings")["flags"] == {}
