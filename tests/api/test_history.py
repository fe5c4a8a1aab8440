"""Versions of a persona, members it shares with others, and edits that overwrite nobody's."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from keys.models import Project
from keys.services import issue_key
from tests.api.conftest import Api
from tests.ingestion.applying import put, track
from tests.segments.living import now_ms, persona, settle, viewed

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(project: Project) -> Project:
    persona(project, "seen", viewed(1))
    persona(project, "keen", viewed(2))
    put(project, track(userId="ann"), track(userId="bob"), track(userId="bob", messageId="2"), received_at=now_ms())
    settle()
    return project


def test_every_rule_that_it_had(api: Api, shop: Project) -> None:
    api.ask("PATCH", "personas/seen", {"rule": {"v": 1, "rule": viewed(3)}})
    api.ask("PATCH", "personas/seen", {"name": "no new version"})
    found = api.get("personas/seen/versions")["results"]
    assert [(one["version"], one["rule"]["rule"]["value"]) for one in found] == [(2, 3), (1, 1)]
    assert found[0]["author"].startswith("sk_live_")
    page = api.get("personas/seen/versions?limit=1")
    rest = api.get(f"personas/seen/versions?limit=1&cursor={page['next']}")["results"]
    assert [one["version"] for one in rest] == [1]


def test_who_is_also_in_another(api: Api, shop: Project) -> None:
    assert api.get("personas/seen/overlap") == {"size": 2, "results": [{"persona": "keen", "members": 1}]}


def test_an_edit_on_an_old_state_is_refused(api: Api, shop: Project) -> None:
    address, edit = api.root + "personas/seen", {"content_type": "application/json"}
    seen = api.client.get(address)["ETag"]
    sent: Any = {"headers": {"if-match": seen}, **edit}
    assert api.client.patch(address, {"name": "a"}, **sent).status_code == 200
    late = api.client.patch(address, {"name": "b"}, **sent)
    assert (late.status_code, late.json()["code"]) == (412, "precondition.failed")
    assert api.get("personas/seen")["name"] == "a"


def test_a_repeated_create_makes_one(api: Api, shop: Project) -> None:
    body = {"slug": "once", "rule": {"v": 1, "rule": viewed(1)}}
    sent: Any = {"headers": {"idempotency-key": "k"}, "content_type": "application/json"}
    first, second = (api.client.post(api.root + "personas", body, **sent) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert second["Location"] == first["Location"]


@pytest.mark.parametrize("path", ["personas/seen/versions", "personas/seen/overlap"])
def test_outsiders_get_the_answer_of_what_does_not_exist(
    api: Api, shop: Project, other_project: Project, charlie: User, path: str
) -> None:
    _, key = issue_key(project=other_project, kind="sk", name="his", actor=charlie)
    assert Api(shop.slug, key).ask("GET", path) == Api("no-such-project", key).ask("GET", path)
    assert Api(shop.slug, user=charlie).ask("GET", path)[0] == 404
    assert Api(other_project.slug, key).ask("GET", path)[0] == 404
