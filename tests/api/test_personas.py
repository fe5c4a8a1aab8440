"""Personas over HTTP: create, read, change, delete; who may, and what is refused."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from keys.models import Project
from keys.services import issue_key
from persona.lib.clock import parse_instant
from tests.api.conftest import Api
from tests.ingestion.applying import identify, put, track
from tests.segments.living import assert_log_is_state, now_ms, settle, viewed

pytestmark = pytest.mark.django_db

RULE = {"v": 1, "rule": viewed(2)}
FIELDS = {
    "slug", "name", "rule", "version", "status", "progress", "size", "warnings", "evaluated_through", "lag_ms",
    "created_at", "updated_at",
}  # fmt: skip


def test_the_life_of_a_persona(api: Api, project: Project) -> None:
    put(project, track(userId="alice", messageId="1"), track(userId="alice", messageId="2"), received_at=now_ms())
    settle()
    status, made = api.ask("POST", "personas", {"slug": "keen", "name": "Keen", "rule": RULE})
    assert (status, made["slug"], made["version"], made["size"]) == (201, "keen", 1, 0)
    assert set(made) == FIELDS
    assert (made["status"], made["progress"]) == ("backfilling", 0.0)
    settle()
    assert api.get("personas/keen")["status"] == "live"
    assert api.get("personas/keen")["progress"] == 1.0
    assert api.get("personas/keen")["size"] == 1
    assert [one["slug"] for one in api.get("personas")["results"]] == ["keen"]
    status, changed = api.ask("PATCH", "personas/keen", {"rule": {"v": 1, "rule": viewed(3)}})
    assert (status, changed["version"]) == (200, 2)
    settle()
    assert api.get("personas/keen")["size"] == 0
    assert api.ask("DELETE", "personas/keen") == (204, None)
    assert api.ask("GET", "personas/keen")[0] == 404
    assert api.get("personas")["results"] == []
    settle()
    assert_log_is_state(project)


def test_a_persona_is_read_edited_and_put_back(api: Api) -> None:
    api.ask("POST", "personas", {"slug": "keen", "name": "Keen", "rule": RULE})
    read = api.get("personas/keen")
    assert api.ask("PUT", "personas/keen", read)[1]["version"] == 1
    settle()
    status, made = api.ask("PUT", "personas/keen/", {**read, "rule": {"v": 1, "rule": viewed(3)}, "name": "Keener"})
    assert (status, made["version"], made["name"], made["rule"]["rule"]["value"]) == (200, 2, "Keener", 3)
    assert api.ask("PATCH", "personas/keen", {"status": "paused"})[0] == 200
    assert api.ask("PUT", "personas/keen", {"rule": RULE})[1]["status"] == "paused"
    refused: list[Any] = [{**read, "slug": "other"}, {"name": "Keen"}, {**read, "color": "red"}, []]
    for body in refused:
        status, problem = api.ask("PUT", "personas/keen", body)
        assert (status, problem["code"]) == (400, "request.invalid")
    assert api.ask("PUT", "personas/nobody", {"rule": RULE})[0] == 404


def test_a_draft_is_created_as_a_draft(api: Api) -> None:
    assert api.ask("POST", "personas/", {"slug": "keen", "rule": RULE, "status": "draft"})[1]["status"] == "draft"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"slug": "keen"}, 400, "request.invalid"),
        ({"slug": 7, "rule": RULE}, 400, "request.invalid"),
        ({"slug": "keen", "rule": RULE, "color": "red"}, 400, "request.invalid"),
        ([], 400, "request.invalid"),
        ({"slug": "keen", "rule": RULE, "name": "a\u0000b"}, 400, "request.null_character"),
        ({"slug": "keen", "rule": RULE, "name": "n" * 201}, 400, "request.invalid"),
        ({"slug": "Not A Slug", "rule": RULE}, 400, "persona.slug_invalid"),
        ({"slug": "keen", "rule": RULE, "status": "paused"}, 400, "persona.status_invalid"),
        ({"slug": "keen", "rule": {"v": 1, "rule": {"op": "any", "of": []}}}, 400, "rule.invalid"),
        ({"slug": "taken", "rule": RULE}, 409, "persona.slug_taken"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(api: Api, body: Any, status: int, code: str) -> None:
    api.ask("POST", "personas", {"slug": "taken", "rule": RULE})
    answer = api.ask("POST", "personas", body)
    assert (answer[0], answer[1]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": None}, "request.invalid"),
        ({"name": ""}, "request.invalid"),
        ({"name": "n" * 201}, "request.invalid"),
        ({"status": ["live"]}, "request.invalid"),
        ({"status": "gone"}, "persona.status_invalid"),
        ({"rule": None}, "rule.invalid"),
        ({"slug": "other"}, "request.invalid"),
        ({"silent": "yes"}, "request.invalid"),
    ],
)
def test_a_change_that_cannot_be_is_refused(api: Api, body: Any, code: str) -> None:
    api.ask("POST", "personas", {"slug": "keen", "rule": RULE})
    status, problem = api.ask("PATCH", "personas/keen", body)
    assert (status, problem["code"]) == (400, code)


def test_a_refused_rule_names_the_node(api: Api) -> None:
    rule = {"v": 1, "rule": {"op": "all", "of": [viewed(1), viewed(1, "P999999D")]}}
    _, problem = api.ask("POST", "personas", {"slug": "keen", "rule": rule})
    assert problem["path"] == "rule.of[1].window.last" or problem["path"] == "rule.of[1].window"
    assert problem["path"] in problem["detail"]


def test_not_json_is_a_problem_not_a_page(api: Api) -> None:
    response = api.client.post(api.root + "personas", data=b"{", content_type="application/json")
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("path", ["personas", "personas/keen", "personas/keen/members", "profiles/alice", "changes"])
def test_outsiders_get_the_answer_of_what_does_not_exist(
    api: Api, project: Project, other_project: Project, charlie: User, path: str
) -> None:
    api.ask("POST", "personas", {"slug": "keen", "rule": RULE})
    _, key = issue_key(project=other_project, kind="sk", name="his", actor=charlie)
    outsiders = [Api(project.slug, key), Api(project.slug, user=charlie)]
    strangers = [Api("no-such-project", key), Api("no-such-project", user=charlie)]
    for outsider, stranger in zip(outsiders, strangers, strict=True):
        assert outsider.ask("GET", path) == stranger.ask("GET", path)
        assert outsider.ask("GET", path)[0] == 404


def test_keys_need_the_kind_and_the_scope(project: Project, alice: User) -> None:
    _, publishable = issue_key(project=project, kind="pk", name="site", actor=alice)
    _, reader = issue_key(project=project, kind="sk", name="reader", actor=alice, scopes=["personas:read"])
    assert Api(project.slug).ask("GET", "personas")[1]["code"] == "auth.missing_key"
    assert Api(project.slug, "sk_live_" + "0" * 32).ask("GET", "personas")[0] == 401
    assert Api(project.slug, publishable).ask("GET", "personas")[1]["code"] == "auth.wrong_kind"
    assert Api(project.slug, reader).ask("GET", "personas")[0] == 200
    refused = Api(project.slug, reader).ask("POST", "personas", {"slug": "keen", "rule": RULE})
    assert (refused[0], refused[1]["code"]) == (403, "auth.scope_missing")


def test_bob_may_edit_with_his_session(project: Project, bob: User) -> None:
    assert Api(project.slug, user=bob).get("personas")["results"] == []
    assert Api(project.slug, user=bob).ask("POST", "personas", {"slug": "keen", "rule": RULE})[0] == 201


def test_members_come_page_by_page_with_when_they_leave(api: Api, project: Project) -> None:
    api.ask("POST", "personas", {"slug": "seen", "rule": {"v": 1, "rule": viewed(1, "PT1H")}})
    settle()
    now = now_ms()
    put(project, *(track(userId=f"user-{number}") for number in range(5)), received_at=now - 1_000)
    put(project, track(userId="user-0", messageId="again"), received_at=now)
    settle()
    seen: dict[str, Any] = {}
    answer: Any = {"next": ""}
    while answer["next"] is not None:
        answer = api.get(f"personas/seen/members?limit=2&cursor={answer['next']}")
        assert len(answer["results"]) <= 2
        seen |= {one["external_ids"][0]: one for one in answer["results"]}
    assert set(seen) == {f"user-{number}" for number in range(5)}
    assert answer["head"] == 5
    assert set(seen["user-0"]) == {"profile", "external_ids", "since", "leaves_at"}
    # The stored timer of user-0 is the older one; the answer is the exact instant all the same.
    assert parse_instant(seen["user-0"]["leaves_at"]) == now + 3_600_000
    assert parse_instant(seen["user-1"]["leaves_at"]) == now - 1_000 + 3_600_000
    assert api.ask("GET", "personas/seen/members?cursor=garbage")[1]["code"] == "request.cursor_invalid"
    assert api.ask("GET", "personas/seen/members?limit=0")[1]["code"] == "request.parameter_invalid"


def test_a_profile_by_its_ids(api: Api, project: Project) -> None:
    api.ask("POST", "personas", {"slug": "seen", "rule": {"v": 1, "rule": viewed(1, "PT1H")}})
    settle()
    put(
        project,
        track(anonymousId="a-1", userId="al/ice"),
        identify("al/ice", {"plan": "pro", "n": 7}),
        received_at=now_ms(),
    )
    settle()
    profile = api.get("profiles/al/ice")
    assert profile["external_ids"] == ["al/ice", "a-1"]
    assert profile["traits"] == {"plan": "pro", "n": 7}
    assert [one["persona"] for one in profile["personas"]] == ["seen"]
    assert set(profile) == {"profile", "external_ids", "traits", "first_seen", "last_seen", "personas"}
    assert api.get(f"profiles/{profile['profile']}") == profile
    assert api.get("profiles?user_id=al/ice") == profile
    assert api.get("profiles?anonymous_id=a-1") == profile
    assert api.ask("GET", "profiles/a-1")[0] == 404
    assert api.ask("GET", "profiles")[1]["code"] == "request.parameter_missing"


def test_the_change_log_is_read_after_a_number(api: Api, project: Project) -> None:
    for slug in ("seen", "viewed"):
        api.ask("POST", "personas", {"slug": slug, "rule": {"v": 1, "rule": viewed(1)}})
    settle()
    put(project, *(track(userId=f"user-{number}") for number in range(3)), received_at=now_ms())
    settle()
    whole = api.get("changes?after=0")
    assert [row["seq"] for row in whole["results"]] == [1, 2, 3, 4, 5, 6]
    assert (whole["next"], whole["head"]) == (6, 6)
    first = whole["results"][0]
    assert (first["op"], first["cause"], first["version"]) == ("enter", "event", 1)
    assert first["trigger"].startswith("e_")
    page = api.get("changes?after=2&limit=2")
    assert ([row["seq"] for row in page["results"]], page["next"]) == ([3, 4], 4)
    only = api.get("changes?after=0&persona=seen")
    assert {row["persona"] for row in only["results"]} == {"seen"}
    assert only["next"] == 6
    assert api.get("changes?after=6")["next"] == 6
    assert api.ask("GET", "changes?persona=nobody")[0] == 404
    assert api.ask("GET", "changes?after=x")[1]["code"] == "request.parameter_invalid"


def test_whoever_follows_a_persona_hears_of_its_end(api: Api, project: Project) -> None:
    """And of whoever has its name next."""
    for _ in range(2):
        api.ask("POST", "personas", {"slug": "seen", "rule": {"v": 1, "rule": viewed(1)}})
        put(project, track(userId="alice", messageId="1"), received_at=now_ms())
        settle()
        assert api.ask("DELETE", "personas/seen")[0] == 204
        settle()
    assert [row["op"] for row in api.get("changes?persona=seen")["results"]] == ["enter", "leave"] * 2
    assert api.ask("GET", "changes?persona=seen&persona=nobody")[0] == 404
