"""A segment of SegOps, sent to the API, comes back as a rule that can be saved."""

from typing import Any

import pytest

from keys.models import Project
from segments.models import Persona
from tests.api.conftest import Api
from tests.segments.living import persona, settle, viewed

pytestmark = pytest.mark.django_db

ADDRESS = "personas/import/segops"
VIEWS = {"type": "event_count", "event_type": "product_viewed", "operator": "gte", "value": 2, "window_days": 7}
STAFF = {"type": "segment_membership", "segment_id": 7, "operator": "not_in"}


def segment(*conditions: Any, **more: Any) -> dict[str, Any]:
    return {"logic": "AND", "conditions": conditions, **more}


def test_an_imported_segment_can_be_saved_as_it_comes(api: Api, project: Project) -> None:
    persona(project, "staff", viewed(9))
    status, found = api.ask("POST", ADDRESS, segment(VIEWS, STAFF, personas={"7": "staff"}))
    assert status == 200
    assert [node["op"] for node in found["rule"]["rule"]["of"]] == ["event", "not"]
    assert [note["path"] for note in found["notes"]] == ["conditions[1]"]
    assert Persona.objects.filter(project=project).count() == 1

    status, saved = api.ask("POST", "personas", {"slug": "keen", "rule": found["rule"]})
    settle()
    assert (status, saved["rule"]) == (201, found["rule"])
    assert api.get("personas/keen")["status"] == "live"


def test_a_refusal_names_the_condition(api: Api, project: Project) -> None:
    ends = {"type": "user_property", "property": "email", "operator": "ends_with", "value": "@example.com"}
    status, problem = api.ask("POST", ADDRESS, segment(VIEWS, ends))
    assert (status, problem["code"], problem["path"]) == (400, "rule.invalid", "conditions[1].operator")
    assert problem["detail"].startswith("conditions[1].operator: ends_with: ")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (segment(STAFF), "conditions[0].segment_id"),
        (segment(STAFF, personas={"7": "nobody"}), "There is no persona 'nobody'"),
        (segment({**VIEWS, "window_days": 401}), "400 days"),
        ({"logic": "AND"}, "conditions"),
        (segment(VIEWS, name="Keen"), "name"),
        (segment(VIEWS, personas={"7": 7}), "personas"),
    ],
)
def test_what_the_project_cannot_judge_is_refused(api: Api, project: Project, body: Any, says: str) -> None:
    status, problem = api.ask("POST", ADDRESS, body)
    assert status == 400
    assert says in problem["detail"]


def test_the_address_is_no_persona(api: Api, project: Project) -> None:
    status, problem = api.ask("POST", "personas", {"slug": "import", "rule": {"v": 1, "rule": viewed(1)}})
    assert (status, problem["code"]) == (400, "persona.slug_invalid")


def test_another_projects_personas_are_no_references(api: Api, other_project: Project) -> None:
    persona(other_project, "staff", viewed(1))
    status, problem = api.ask("POST", ADDRESS, segment(STAFF, personas={"7": "staff"}))
    assert (status, problem["path"]) == (400, "conditions[0]")


def test_strangers_are_not_answered(project: Project) -> None:
    assert Api(project.slug).ask("POST", ADDRESS, segment(VIEWS))[0] == 401
