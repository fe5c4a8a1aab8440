"""What a rule would do, said before it is saved."""

import pytest

from delivery.models import Destination
from keys.models import Project
from segments.insight.preview import preview
from segments.models import Head, Persona
from tests.api.conftest import Api
from tests.ingestion.applying import put, track
from tests.segments.living import now_ms, persona, settle, viewed

pytestmark = pytest.mark.django_db


@pytest.fixture
def crowd(project: Project) -> Project:
    """Alice looked once, Bob twice, Dora three times."""
    for times, who in enumerate(("alice", "bob", "dora"), start=1):
        put(project, *(track(userId=who, messageId=f"{who}-{n}") for n in range(times)), received_at=now_ms())
    settle()
    return project


def rule(at_least: int) -> dict[str, object]:
    return {"rule": {"v": 1, "rule": viewed(at_least)}}


def test_a_new_persona_says_who_would_enter(api: Api, crowd: Project) -> None:
    status, found = api.ask("POST", "personas/preview", rule(2))
    assert (status, found["enter"], found["leave"], found["stay"]) == (200, 2, 0, 0)
    assert (found["seen"], found["complete"], found["destinations"]) == (3, True, [])
    assert {person["external_ids"][0] for person in found["entering"]} == {"bob", "dora"}
    assert not Persona.objects.filter(project=crowd).exists()


def test_a_changed_rule_says_who_would_move(api: Api, crowd: Project) -> None:
    persona(crowd, "keen", viewed(2))
    head = Head.objects.get(project=crowd)
    status, found = api.ask("POST", "personas/keen/preview", rule(3))
    assert (status, found["enter"], found["leave"], found["stay"]) == (200, 0, 1, 1)
    assert [person["external_ids"] for person in found["leaving"]] == [["bob"]]
    assert api.ask("POST", "personas/keen/preview", rule(1))[1]["enter"] == 1
    after = Head.objects.get(project=crowd)
    assert (after.last_seq, after.rules_version) == (head.last_seq, head.rules_version)
    assert api.get("personas/keen")["version"] == 1


def test_it_names_whom_the_changes_would_be_told(api: Api, crowd: Project) -> None:
    persona(crowd, "keen", viewed(2))
    persona(crowd, "other", viewed(9))
    for name, personas, ops in (
        ("all", [], []),
        ("entering", [], ["enter"]),
        ("of keen", ["keen"], ["leave"]),
        ("of another", ["other"], []),
        ("paused", ["keen", "other"], []),
    ):
        hook = {"kind": "webhook", "name": name, "url": "https://crm.example/hook", "personas": personas, "ops": ops}
        assert api.ask("POST", "destinations", hook)[0] == 201
    Destination.objects.filter(project=crowd, name="paused").update(status=Destination.Status.PAUSED)
    ahead = {"kind": "amplitude", "name": "events", "url": "https://api.example/", "secret": "key"}
    assert api.ask("POST", "destinations", ahead)[0] == 201
    elsewhere = Project.objects.create(slug="elsewhere", name="elsewhere")
    Destination.objects.create(
        project=elsewhere, kind=Destination.Kind.WEBHOOK, name="not ours", url="https://x.example"
    )
    assert api.ask("POST", "personas/keen/preview", rule(3))[1]["destinations"] == ["all", "of keen", "paused"]
    assert api.ask("POST", "personas/keen/preview", rule(1))[1]["destinations"] == ["all", "entering", "paused"]
    assert api.ask("POST", "personas/keen/preview", rule(2))[1]["destinations"] == []
    assert api.ask("POST", "personas/preview", rule(1))[1]["destinations"] == ["all", "entering"]


def test_a_refused_rule_is_refused_here_too(api: Api, crowd: Project) -> None:
    status, problem = api.ask("POST", "personas/preview", {"rule": {"v": 1, "rule": {"op": "all", "of": []}}})
    assert (status, problem["code"]) == (400, "rule.invalid")


def test_a_preview_that_takes_too_long_says_how_far_it_came(crowd: Project) -> None:
    found = preview(project=crowd, rule=rule(1)["rule"], budget=0.0)
    assert (found.seen, found.complete, found.enter) == (0, False, 0)
