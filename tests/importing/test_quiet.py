"""What an import stores judges nobody and tells nobody by itself; whatever else happens is judged and told as ever."""

from typing import Any

import pytest
from django.db import connection

from ingestion import log
from ingestion.models import Applied, Event, StaleProfiles
from keys.models import Project
from persona.lib.ids import import_batch_id
from segments import rejudging
from segments.models import Change
from tests.ingestion.applying import alias, apply_all, put, track
from tests.segments.living import members, now_ms, persona, settle

pytestmark = pytest.mark.django_db(transaction=True)

ONCE = {"op": "event", "event": "order_placed", "cmp": "gte", "value": 1}


def past(project: Project, *events: Any) -> None:
    put(project, *events, batch_id=import_batch_id("run", 1), received_at=now_ms())


def live(project: Project, *events: Any) -> None:
    put(project, *events, batch_id="b_live", received_at=now_ms())


def order(**who: str) -> dict[str, Any]:
    return track("order_placed", **who)


def changes(project: Project) -> list[tuple[str, str, bool]]:
    return list(Change.objects.filter(project=project).order_by("seq").values_list("op", "cause", "silent"))


def test_nobody_is_judged_until_the_end_and_nobody_is_told(project: Project) -> None:
    persona(project, "buyers", ONCE)
    settle()
    past(project, order(userId="alice"), order(userId="bob"))
    apply_all()
    assert not StaleProfiles.objects.filter(project=project).exists()
    settle()
    assert members(project, "buyers") == set()
    rejudging.judge_again(project, silent=True)
    settle()
    assert members(project, "buyers") == {"alice", "bob"}
    assert changes(project) == [("enter", "definition", True)] * 2


def test_who_does_something_meanwhile_is_judged_by_all_that_is_there(project: Project) -> None:
    """And told: that it is a member now is news, whichever of the events made it one."""
    persona(project, "regulars", {**ONCE, "value": 2})
    settle()
    past(project, order(userId="alice"), order(userId="bob"))
    live(project, order(userId="alice"))
    apply_all()
    settle()
    assert members(project, "regulars") == {"alice"}
    assert changes(project) == [("enter", "event", False)]


def test_new_people_of_both_in_one_turn(project: Project) -> None:
    persona(project, "buyers", ONCE)
    settle()
    past(project, order(userId="alice"), order(anonymousId="a-1"))
    live(project, track("seen", userId="alice"), order(userId="bob"))
    apply_all()
    settle()
    assert members(project, "buyers") == {"alice", "bob"}, "alice by the order of the same turn"


@pytest.mark.parametrize("link", [order(userId="alice", anonymousId="a-1"), alias("a-1", "alice")])
def test_people_whom_an_import_makes_one_move_in_silence(link: dict[str, Any], project: Project) -> None:
    persona(project, "buyers", ONCE)
    persona(project, "regulars", {**ONCE, "value": 2})
    live(project, order(userId="alice"), order(anonymousId="a-1"))
    apply_all()
    settle()
    assert len(members(project, "buyers")) == 2
    seen = Change.objects.filter(project=project).count()
    past(project, link)
    apply_all()
    settle()
    assert members(project, "regulars") == {"alice", "a-1"}, "one profile with two ids"
    assert set(changes(project)[seen:]) == {("enter", "merge", True), ("leave", "merge", True)}


def test_the_past_is_not_forwarded(project: Project) -> None:
    log.follow(project.pk, wanted=True)
    past(project, order(userId="alice"))
    apply_all()
    assert not Applied.objects.filter(project=project).exists()
    live(project, order(userId="bob"))
    past(project, order(userId="charlie"))
    apply_all()
    (row,) = Applied.objects.filter(project=project)
    assert [event["external_id"] for event in row.events] == ["bob"]


def test_the_instants_are_the_original_ones(project: Project) -> None:
    past(project, track(userId="alice", timestamp="2011-12-09T12:50:00Z"))
    apply_all()
    event = Event.objects.get(project=project)
    assert event.ts == 1_323_435_000_000
    assert now_ms() - event.received_at < 600_000
    with connection.cursor() as cursor:
        cursor.execute("select first_seen from ingestion_profile where project_id = %s", [project.pk])
        assert cursor.fetchone() == (1_323_435_000_000,)
