"""A comparison of a wrong type is false, and the persona says so: where, of how many profiles, since when."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import Project
from segments import facts, lookups, upkeep, warnings
from segments.models import Persona, PersonaWarning
from segments.services import update_persona
from segments.verify.passes import verify
from tests.ingestion.applying import put, track
from tests.segments.living import Json, everyone_of, now_ms, persona, settle, viewed

pytestmark = pytest.mark.django_db

OLD: Json = {"op": "trait", "path": "age", "cmp": "gte", "value": 18}


@pytest.fixture(autouse=True)
def every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "EVERY", 0.0)
    monkeypatch.setattr(warnings, "_next", 0.0)


def person(user: str, **traits: Any) -> Json:
    return {"type": "identify", "userId": user, "traits": traits}


def told(project: Project) -> dict[str, list[tuple[str, str, int]]]:
    slugs = dict(Persona.objects.filter(project=project).values_list("id", "slug"))
    found = warnings.of_project(project.pk)
    return {slugs[i]: [(one.kind, one.path, one.profiles) for one in some] for i, some in found.items()}


def test_a_live_event_brings_the_warning(shop: Project) -> None:
    persona(shop, "grown", everyone_of(viewed(1), OLD))
    put(shop, person("alice", age="40"), received_at=now_ms())
    settle()
    assert told(shop) == {"grown": [("type_mismatch", "rule.of[1]", 1)]}


def test_a_backfill_brings_it_and_counts_profiles_not_looks(shop: Project) -> None:
    # Five with Alice: a backfill looks at no fewer of each shard.
    put(shop, *(person(f"user-{n}", age=str(n)) for n in range(4)), person("alice", age=40), received_at=now_ms())
    settle()
    grown = persona(shop, "grown", OLD)
    assert told(shop) == {"grown": [("type_mismatch", "rule", 4)]}
    put(shop, person("user-1", age="41"), received_at=now_ms())
    settle()
    assert told(shop) == {"grown": [("type_mismatch", "rule", 4)]}
    update_persona(persona=grown, changes={"rule": {"v": 1, "rule": viewed(1)}}, actor="alice")
    settle()
    assert told(shop) == {}


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"op": "not", "of": OLD}, "rule.of"),
        ({**viewed(1), "where": {"op": "trait", "path": "price", "cmp": "lt", "value": 5}}, "rule"),
        ({**viewed(1), "agg": {"fn": "sum", "prop": "price"}}, "rule"),
        ({"op": "sequence", "steps": [{"event": "page_viewed", "where": {"op": "trait", "path": "price", "cmp": "lt", "value": 5}}], "within": "P1D"}, "rule"),  # noqa: E501 - a document
        ({"op": "member", "persona": "base"}, "base: rule"),
    ],
)  # fmt: skip
def test_the_node_is_named(shop: Project, rule: Json, path: str) -> None:
    persona(shop, "base", OLD, status="draft")
    put(shop, person("alice", age="40"), track(userId="alice", properties={"price": "4"}), received_at=now_ms())
    settle()
    persona(shop, "odd", rule)
    assert told(shop) == {"odd": [("type_mismatch", path, 1)]}


@pytest.mark.parametrize(
    "rule",
    [
        viewed(1),
        {"op": "trait", "path": "age", "cmp": "exists"},
        {"op": "trait", "path": "nothing", "cmp": "gt", "value": 1},
        {"op": "trait", "path": "age", "cmp": "in", "value": ["40", 40]},
        {**viewed(1), "agg": {"fn": "distinct", "prop": "price"}},
    ],
)
def test_what_fits_is_no_warning(shop: Project, rule: Json) -> None:
    put(shop, person("alice", age="40"), track(userId="alice", properties={"price": "4"}), received_at=now_ms())
    settle()
    persona(shop, "fits", rule)
    assert told(shop) == {}


def test_at_most_a_hundred_profiles_are_remembered(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "MOST", 5)
    put(shop, *(person(f"user-{n}", age="old") for n in range(30)), received_at=now_ms())
    settle()
    grown = persona(shop, "grown", OLD)
    (one,) = warnings.of_project(shop.pk)[grown.pk]
    assert (one.profiles, one.at_least, len(one.samples)) == (5, True, 3)


def test_what_an_older_rule_has_seen_is_not_stored(shop: Project) -> None:
    grown = persona(shop, "grown", OLD)
    seen = warnings.Noticed(grown.pk, grown.revision - 1, "type_mismatch", "rule", 1)
    warnings.store(shop.pk, [seen], now_ms())
    assert told(shop) == {}


@pytest.mark.django_db(transaction=True)
def test_verify_looks_at_everybody(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    persona(shop, "grown", OLD)
    monkeypatch.setattr(warnings, "EVERY", 1e9)
    monkeypatch.setattr(warnings, "_next", 1e18)
    put(shop, person("alice", age="40"), person("bob", age=[40]), received_at=now_ms())
    settle()
    assert told(shop) == {}
    assert [report.count for report in verify(shop)][-1] == 0
    assert told(shop) == {"grown": [("type_mismatch", "rule", 2)]}


@pytest.mark.django_db(transaction=True)
def test_more_events_than_are_looked_at_are_a_warning(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (facts, lookups):
        monkeypatch.setattr(room, "CAP", 3)
    monkeypatch.setattr(lookups, "FEW", 2)  # so few are read without a limit
    monkeypatch.setattr(lookups, "FEW", 2)
    persona(shop, "spent", {**viewed(1), "agg": {"fn": "sum", "prop": "price"}})
    put(shop, *(track(userId="alice", messageId=f"m{n}") for n in range(5)), received_at=now_ms())
    settle()
    assert told(shop) == {"spent": [("capped", "page_viewed", 1)]}
    assert [report.count for report in verify(shop)][-1] == 0


def test_what_is_not_seen_again_is_forgotten(shop: Project) -> None:
    put(shop, person("alice", age="40"), received_at=now_ms())
    settle()
    persona(shop, "grown", OLD)
    upkeep.forget_warnings()
    assert told(shop) != {}
    PersonaWarning.objects.filter(project=shop).update(latest=now_ms() - warnings.FORGET - 1)
    upkeep.forget_warnings()
    assert told(shop) == {}


def test_the_api_and_the_admin_say_it(shop: Project, alice: User, client: Client) -> None:
    put(shop, person("alice", age="40"), received_at=now_ms())
    settle()
    grown = persona(shop, "grown", OLD)
    client.force_login(alice)
    (shown,) = json.loads(client.get("/api/projects/shop/personas/grown").content)["warnings"]
    assert (shown["kind"], shown["path"], shown["profiles"], shown["at_least"]) == ("type_mismatch", "rule", 1, False)
    assert shown["since"].endswith("Z")
    assert shown["samples"][0].startswith("u_")
    page = client.get(f"/admin/segments/persona/{grown.pk}/change/").content.decode()
    assert "rule met values of another type than it compares: 1 profiles, since 2" in page
