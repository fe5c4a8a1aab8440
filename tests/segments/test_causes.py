"""The log names what moved a profile: time, an event, or that the rule has come to mean something else."""

from typing import Any

import pytest

from keys.models import Project
from segments.models import Change, Persona
from segments.services import update_persona
from tests.ingestion.applying import put, track
from tests.segments.living import Json, log, members, never, now_ms, persona, settle, viewed
from tests.segments.timing import Clock

pytestmark = pytest.mark.django_db

HOUR, MINUTE = 3_600_000, 60_000


def member_of(slug: str) -> Json:
    return {"op": "member", "persona": slug}


def signed_up_almost_an_hour_ago(shop: Project) -> int:
    """The instant at which dora's hour is over, a minute from now."""
    ts = now_ms() - HOUR + MINUTE
    put(shop, track("signed_up", userId="dora"), received_at=ts)
    settle()
    return ts + HOUR


def change(shop: Project, slug: str, **changes: Any) -> None:
    found = Persona.objects.get(project=shop, slug=slug)
    update_persona(persona=found, changes=changes, actor="alice")


@pytest.fixture
def fresh(shop: Project) -> Persona:
    """Who signed up within the hour, and a persona that refers to it."""
    made = persona(shop, "fresh", viewed(1, "PT1H", "signed_up"))
    persona(shop, "fresher", member_of("fresh"))
    return made


def test_an_overdue_timer_is_time_for_who_refers_too(shop: Project, fresh: Persona, clock: Clock) -> None:
    ends = signed_up_almost_an_hour_ago(shop)
    clock.pass_by(MINUTE)
    settle()
    assert set(log(shop)[2:]) == {("dora", "leave", "fresh", "time"), ("dora", "leave", "fresher", "time")}
    assert set(Change.objects.filter(project=shop, op="leave").values_list("at", flat=True)) == {ends}


def test_an_overdue_timer_of_a_rule_that_has_changed_is_no_time(shop: Project, fresh: Persona, clock: Clock) -> None:
    signed_up_almost_an_hour_ago(shop)
    clock.pass_by(MINUTE)
    change(shop, "fresh", rule={"v": 1, "rule": viewed(1, event="checkout")})
    settle()
    assert set(log(shop)[2:]) == {("dora", "leave", "fresh", "definition"), ("dora", "leave", "fresher", "definition")}


def test_who_refers_is_judged_by_time_again_after_the_change(shop: Project, fresh: Persona, clock: Clock) -> None:
    signed_up_almost_an_hour_ago(shop)
    change(shop, "fresh", rule={**fresh.rule, "identified_only": True})
    settle()
    clock.pass_by(MINUTE)
    settle()
    assert set(log(shop)[2:]) == {("dora", "leave", "fresh", "time"), ("dora", "leave", "fresher", "time")}


def test_an_event_after_the_change_is_an_event(shop: Project, fresh: Persona) -> None:
    change(shop, "fresh", rule={"v": 1, "rule": never("checkout")})
    put(shop, track("signed_up", userId="dora"), received_at=now_ms())
    settle()
    put(shop, track("checkout", userId="dora"), received_at=now_ms())
    settle()
    assert set(log(shop)[2:]) == {("dora", "leave", "fresh", "event"), ("dora", "leave", "fresher", "event")}


def test_what_a_pause_has_missed_is_the_definition(shop: Project, fresh: Persona, clock: Clock) -> None:
    signed_up_almost_an_hour_ago(shop)
    change(shop, "fresher", status="paused")
    clock.pass_by(MINUTE)
    change(shop, "fresher", status="live")
    settle()
    assert ("dora", "leave", "fresher", "definition") in log(shop)
    assert members(shop, "fresher") == set()


def test_the_log_names_the_version_of_the_rule_not_how_often_it_was_judged_anew(shop: Project, fresh: Persona) -> None:
    signed_up_almost_an_hour_ago(shop)
    change(shop, "fresh", rule={"v": 1, "rule": viewed(1, event="checkout")})
    settle()
    slugs = dict(Persona.objects.filter(project=shop).values_list("id", "slug"))
    left = Change.objects.filter(project=shop, op="leave").values_list("persona_id", "version")
    assert {slugs[persona_id]: version for persona_id, version in left} == {"fresh": 2, "fresher": 1}
    change(shop, "fresher", rule={"v": 1, "rule": never("checkout")})
    settle()
    change(shop, "fresher", status="draft")
    settle()
    assert Change.objects.filter(project=shop, op="leave").order_by("-seq").values_list("version", flat=True)[0] == 2
