"""Keys, projects and settings over HTTP: shown once, nobody gets more than they have, no lost updates."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import ApiKey, AuditEntry, IdempotencyKey, Project, SettingsVersion
from keys.services import issue_key
from tests.api.conftest import Api

pytestmark = pytest.mark.django_db
JSON: Any = {"content_type": "application/json"}


def test_the_life_of_a_key(api: Api, project: Project) -> None:
    status, made = api.ask("POST", "keys", {"kind": "sk", "name": "export", "scopes": ["personas:read"]})
    assert status == 201
    assert Api(project.slug, made["key"]).ask("GET", "personas")[0] == 200
    shown = api.get(f"keys/{made['lookup']}")
    assert "key" not in shown
    assert (shown["state"], shown["scopes"]) == ("active", ["personas:read"])
    status, next_one = api.ask("POST", f"keys/{made['lookup']}/rotate", {"grace": "1h"})
    assert status == 201
    assert api.get(f"keys/{made['lookup']}")["state"] == "rotating"
    assert api.get(f"keys/{made['lookup']}")["replaced_by"] == next_one["lookup"]
    assert api.ask("DELETE", f"keys/{next_one['lookup']}") == (204, None)
    assert Api(project.slug, next_one["key"]).ask("GET", "personas")[0] == 401
    assert made["key"] not in str(api.get("keys"))
    actions = list(AuditEntry.objects.filter(project=project).order_by("id").values_list("action", flat=True))
    assert actions[-3:] == ["key.issued", "key.rotated", "key.revoked"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "xk", "name": "a"}, "request.invalid"),
        ({"kind": "sk", "name": "a", "scopes": ["all"]}, "key.invalid"),
        ({"kind": "pk", "name": "a", "scopes": ["personas:read"]}, "key.invalid"),
        ({"kind": "pk", "name": "a", "origins": ["shop"]}, "key.invalid"),
        ({"kind": "sk", "name": "a", "expires_in": "soon"}, "key.invalid"),
    ],
)
def test_a_key_that_cannot_be(api: Api, body: Any, code: str) -> None:
    status, problem = api.ask("POST", "keys", body)
    assert (status, problem["code"]) == (400, code)


def test_a_limited_key_makes_no_key_that_may_more(api: Api, project: Project, alice: User) -> None:
    _, limited = issue_key(project=project, kind="sk", name="l", actor=alice, scopes=["keys:write", "personas:read"])
    caller = Api(project.slug, limited)
    for scopes in ([], ["personas:write"], ["personas:read", "profiles:read"]):
        status, problem = caller.ask("POST", "keys", {"kind": "sk", "name": "more", "scopes": scopes})
        assert (status, problem["code"]) == (403, "auth.scope_missing")
    assert caller.ask("POST", "keys", {"kind": "sk", "name": "less", "scopes": ["personas:read"]})[0] == 201
    assert caller.ask("POST", "keys", {"kind": "pk", "name": "site"})[0] == 201
    unlimited = ApiKey.objects.get(name="server")
    assert caller.ask("POST", f"keys/{unlimited.lookup}/rotate", {})[0] == 403


@pytest.mark.parametrize("path", ["keys", "keys/sk_live_00000000", "settings", "settings/versions", ""])
def test_outsiders_get_the_answer_of_what_does_not_exist(
    api: Api, project: Project, other_project: Project, charlie: User, path: str
) -> None:
    _, key = issue_key(project=other_project, kind="sk", name="his", actor=charlie)
    for outsider, stranger in (
        (Api(project.slug, key), Api("no-such-project", key)),
        (Api(project.slug, user=charlie), Api("no-such-project", user=charlie)),
    ):
        assert outsider.ask("GET", path) == stranger.ask("GET", path)
        assert outsider.ask("GET", path)[0] == 404
    mine = ApiKey.objects.get(project=project).lookup
    assert Api(other_project.slug, key).ask("GET", f"keys/{mine}")[0] == 404
    assert Api(other_project.slug, key).ask("DELETE", f"keys/{mine}")[0] == 404


# --- projects ---


def projects(client: Client) -> list[str]:
    return [one["slug"] for one in client.get("/api/projects").json()["results"]]


def test_everybody_sees_their_own_projects(
    project: Project, other_project: Project, secret: str, bob: User, charlie: User
) -> None:
    assert projects(Client(headers={"authorization": f"Bearer {secret}"})) == ["shop"]
    for person, slugs in ((bob, ["shop"]), (charlie, ["elsewhere"])):
        client = Client()
        client.force_login(person)
        assert projects(client) == slugs
    assert Client().get("/api/projects").json()["code"] == "auth.missing_key"


def test_an_operator_makes_a_project(project: Project, alice: User, bob: User, secret: str) -> None:
    body = {"slug": "second", "name": "Second", "mode": "test"}
    client = Client()
    client.force_login(alice)
    made = client.post("/api/projects", body, **JSON)
    assert (made.status_code, made["Location"]) == (201, "/api/projects/second")
    assert client.get(made["Location"]).json()["mode"] == "test"
    assert client.post("/api/projects", body, **JSON).json()["code"] == "project.invalid"
    client.force_login(bob)
    assert client.post("/api/projects", body, **JSON).status_code == 403
    by_key = Client(headers={"authorization": f"Bearer {secret}"})
    assert by_key.post("/api/projects", body, **JSON).status_code == 403


# --- settings ---


def test_settings_are_edited_on_what_was_read_and_kept_as_versions(api: Api, project: Project) -> None:
    address = api.root + "settings"
    read = api.client.get(address)
    assert read.json()["sample_rate"] == 1.0
    blind = api.client.patch(address, {"sample_rate": 0.5}, **JSON)
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition.required")
    saved = api.client.patch(address, {"sample_rate": 0.5}, headers={"if-match": read["ETag"]}, **JSON)
    assert (saved.status_code, saved.json()["sample_rate"]) == (200, 0.5)
    late = api.client.patch(address, {"sample_rate": 0.1}, headers={"if-match": read["ETag"]}, **JSON)
    assert (late.status_code, late.json()["code"]) == (412, "precondition.failed")
    again = api.client.patch(address, {"sample_rate": None}, headers={"if-match": saved["ETag"]}, **JSON)
    assert again.json()["sample_rate"] == 1.0
    versions = api.get("settings/versions")["results"]
    assert [(one["version"], one["settings"]) for one in versions] == [(2, {}), (1, {"sample_rate": 0.5})]
    assert api.get("settings/versions?limit=1")["next"] is not None
    assert SettingsVersion.objects.count() == 2
    assert AuditEntry.objects.filter(action="project.settings_changed").count() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"sample_rate": 2},
        {"color": "red"},
        {"sampling": [{"event": "page_viewed"}]},
        {"flags": {"beta": {"persona": 7}}},
        {"flags": {"beta": {"persona": "vip", "maybe": 1}}},
        {"flags": {"big": "x" * 70_000}},
    ],
)
def test_settings_that_cannot_be(api: Api, change: Any) -> None:
    answer = api.client.patch(api.root + "settings", change, headers={"if-match": "*"}, **JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "settings.invalid")


# --- Idempotency-Key ---


def post(api: Api, body: Any, key: str, path: str = "keys") -> Any:
    return api.client.post(api.root + path, body, headers={"idempotency-key": key}, **JSON)


def test_a_repeated_request_gets_the_first_answer_and_does_nothing(api: Api, project: Project) -> None:
    body = {"kind": "pk", "name": "site"}
    first, second = post(api, body, "k-1"), post(api, body, "k-1")
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert ApiKey.objects.filter(name="site").count() == 1
    assert post(api, body, "k-2").json()["lookup"] != first.json()["lookup"]
    assert first.json()["key"] not in IdempotencyKey.objects.get(pk=IdempotencyKey.objects.first().pk).answer  # type: ignore[union-attr]  # there are two


def test_the_same_key_for_something_else_is_refused(api: Api, project: Project) -> None:
    post(api, {"kind": "pk", "name": "site"}, "k-1")
    other = post(api, {"kind": "pk", "name": "app"}, "k-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
    assert post(api, {}, "x" * 300).json()["code"] == "idempotency.invalid"


def test_what_failed_may_be_tried_again_with_the_same_key(api: Api, project: Project) -> None:
    assert post(api, {"kind": "pk"}, "k-1").status_code == 400
    assert post(api, {"kind": "pk", "name": "site"}, "k-1").status_code == 201


def test_keys_of_different_callers_are_different_keys(api: Api, project: Project, bob: User, alice: User) -> None:
    body = {"kind": "pk", "name": "site"}
    first = post(api, body, "k-1").json()
    assert post(Api(project.slug, user=bob), body, "k-1").json()["lookup"] != first["lookup"]
