from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import ApiKey, Member, Project
from keys.services import issue_key, revoke_key

pytestmark = pytest.mark.urls("tests.keys.urls")
HERE = "/api/projects/shop/things"
Key = tuple[ApiKey, str]


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def refused(answer: Any, status: int, code: str) -> bool:
    return (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_secret_key_without_limits_may_do_everything(client: Client, secret_key: Key) -> None:
    key, secret = secret_key
    assert client.get(HERE, headers=bearer(secret)).json() == {"project": "shop"}
    assert client.get("/api/things", headers=bearer(secret)).json() == {"project": "shop"}
    answer = client.post(HERE, headers=bearer(secret))
    assert (answer.status_code, answer.json()) == (201, {"actor": key.lookup})
    assert client.delete(HERE, headers={"x-api-key": secret}).status_code == 204


def test_without_a_credential(client: Client, project: Project) -> None:
    answer = client.get(HERE)
    assert refused(answer, 401, "auth.missing_key")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("sent", ["nonsense", "sk_live_" + "a" * 32])
def test_a_key_of_nobody(client: Client, project: Project, sent: str) -> None:
    answer = client.get(HERE, headers=bearer(sent))
    assert refused(answer, 401, "auth.invalid_key")
    assert sent not in answer.content.decode()


def test_a_revoked_key(client: Client, secret_key: Key, alice: User) -> None:
    key, secret = secret_key
    assert client.get(HERE, headers=bearer(secret)).status_code == 200
    revoke_key(key=key, actor=alice)
    assert refused(client.get(HERE, headers=bearer(secret)), 401, "auth.revoked_key")


def test_a_publishable_key_is_for_ingest_alone(client: Client, public_key: Key, other_project: Project) -> None:
    _, secret = public_key
    for slug in ("shop", "elsewhere", "nowhere"):
        answer = client.get(f"/api/projects/{slug}/things", headers=bearer(secret))
        assert refused(answer, 403, "auth.wrong_kind")


def test_scopes_limit_a_secret_key(client: Client, project: Project, alice: User) -> None:
    _, reader = issue_key(project=project, kind="sk", name="r", actor=alice, scopes=["personas:read"])
    _, writer = issue_key(project=project, kind="sk", name="w", actor=alice, scopes=["personas:write"])
    _, other = issue_key(project=project, kind="sk", name="o", actor=alice, scopes=["profiles:read"])
    assert client.get(HERE, headers=bearer(reader)).status_code == 200
    assert client.get(HERE, headers=bearer(writer)).status_code == 200
    assert client.post(HERE, headers=bearer(writer)).status_code == 201
    assert refused(client.get(HERE, headers=bearer(other)), 403, "auth.scope_missing")
    answer = client.post(HERE, headers=bearer(reader))
    assert refused(answer, 403, "auth.scope_missing")
    assert "personas:write" in answer.json()["detail"]
    assert refused(client.delete(HERE, headers=bearer(writer)), 403, "auth.scope_missing")  # a method without a scope


def test_outsiders_see_what_does_not_exist(
    client: Client, secret_key: Key, other_project: Project, charlie: User
) -> None:
    _, secret = secret_key
    theirs = client.get("/api/projects/elsewhere/things", headers=bearer(secret))
    absent = client.get("/api/projects/nowhere/things", headers=bearer(secret))
    assert refused(theirs, 404, "not_found")
    assert theirs.content == absent.content
    client.force_login(charlie)
    for method in (client.get, client.post, client.delete):
        mine, gone = method(HERE), method("/api/projects/nowhere/things")
        assert mine.status_code == gone.status_code == 404
        assert mine.content == gone.content


def test_people_act_by_their_role(client: Client, project: Project, alice: User, bob: User) -> None:
    client.force_login(bob)
    assert client.get(HERE).json() == {"project": "shop"}
    assert client.post(HERE).json() == {"actor": "bob"}
    Member.objects.filter(user=bob).update(role="viewer")
    assert client.get(HERE).status_code == 200
    assert refused(client.post(HERE), 403, "auth.role_missing")


def test_the_operator_may_enter_every_project(client: Client, alice: User, other_project: Project) -> None:
    client.force_login(alice)
    assert client.get("/api/projects/elsewhere/things").json() == {"project": "elsewhere"}
    assert client.post("/api/projects/elsewhere/things").status_code == 201


def test_a_session_needs_the_csrf_token_and_a_key_does_not(project: Project, secret_key: Key, bob: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(HERE, headers=bearer(secret_key[1])).status_code == 201
    client.force_login(bob)
    assert client.get(HERE).status_code == 200
    assert client.post(HERE).status_code == 403


def test_an_address_without_a_project(client: Client, project: Project, other_project: Project, bob: User) -> None:
    client.force_login(bob)
    assert client.get("/api/things").json() == {"project": "shop"}
    Member.objects.create(project=other_project, user=bob, role="viewer")
    assert refused(client.get("/api/things"), 400, "project.required")
    assert client.get("/api/things?project=elsewhere").json() == {"project": "elsewhere"}


def test_a_key_wins_over_the_session(client: Client, secret_key: Key, charlie: User) -> None:
    client.force_login(charlie)
    key, secret = secret_key
    assert client.post(HERE, headers=bearer(secret)).json() == {"actor": key.lookup}
