"""A profile over HTTP: its rows of the change log, its events; statistics; pages of projects and keys."""

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
    for who in ("bob", "ann", "bob", "org/ann/history"):
        put(project, track(userId=who, properties={"of": who}), received_at=now_ms())
        settle()
    return project


def pages(api: Api, address: str) -> list[Any]:
    """All results, one a page."""
    found: list[Any] = []
    following: str | None = ""
    while following is not None:
        page = api.get(f"{address}?limit=1&cursor={following}")
        found += page["results"]
        following = page["next"]
    return found


def test_history_is_its_rows_of_the_log_with_the_logs_numbers(api: Api, shop: Project) -> None:
    whole = api.get("changes")
    mine = api.get("profiles/ann/history")
    public = api.get("profiles/ann")["profile"]
    assert mine["results"] == [row for row in whole["results"] if row["profile"] == public]
    assert [row["seq"] for row in mine["results"]] == [2]
    assert {name: mine[name] for name in ("next", "head", "oldest")} == {
        name: whole[name] for name in ("next", "head", "oldest")
    }
    assert api.get(f"profiles/{public}/history/?after=2")["results"] == []
    assert api.ask("GET", "profiles/nobody/history")[0] == 404


def test_an_id_with_slashes_has_a_history_too(api: Api, shop: Project) -> None:
    assert api.get("profiles/org/ann/history/history")["results"][0]["seq"] == 3
    assert api.get("profiles?user_id=org/ann/history")["external_ids"] == ["org/ann/history"]


def test_a_slash_behind_an_id(api: Api, shop: Project) -> None:
    assert api.get("profiles/ann/") == api.get("profiles/ann")
    assert api.ask("GET", "profiles/nobody/")[0] == 404


def test_events_come_newest_first_and_page_by_page(api: Api, shop: Project) -> None:
    events = api.get("profiles/bob/events")["results"]
    assert [one["properties"] for one in events] == [{"of": "bob"}] * 2
    assert events[0]["at"] >= events[1]["at"]
    assert events[0]["id"].startswith("e_")
    assert pages(api, "profiles/bob/events") == events
    for wrong in ("x", "e1", "e1-zz", "r1"):
        assert api.ask("GET", f"profiles/bob/events?cursor={wrong}")[1]["code"] == "request.cursor_invalid"


def test_statistics(api: Api, shop: Project) -> None:
    assert api.get("stats")["total_events"] == 4
    assert api.get("stats?window=7d")["unique_users"] == 3
    assert api.ask("GET", "stats?window=1y")[1]["code"] == "request.parameter_invalid"


def test_keys_and_projects_come_page_by_page(api: Api, shop: Project, alice: User, other_project: Project) -> None:
    issue_key(project=shop, kind="pk", name="page", actor=alice)
    assert [one["name"] for one in pages(api, "keys")] == ["page", "server"]
    signed_in = Api("shop", user=alice)
    signed_in.root = "/api/"
    assert [one["slug"] for one in pages(signed_in, "projects")] == ["elsewhere", "shop"]
    api.root = "/api/"
    assert [one["slug"] for one in pages(api, "projects")] == ["shop"]
