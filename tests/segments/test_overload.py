"""What happens when more comes at once than a turn takes, or when somebody is killed or saves at the wrong moment."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keys.models import Project
from persona.lib.problems import Problem
from segments import backfill, claim, services
from segments.models import Change, Persona
from tests.ingestion.applying import put, track
from tests.segments.living import log, now_ms, persona, settle, viewed

pytestmark = pytest.mark.django_db

HOUR = 3_600_000


def test_a_timer_beyond_those_a_turn_takes_still_leaves_at_its_exact_instant(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    persona(shop, "keen", viewed(1, "PT1H"))
    first = now_ms() - HOUR + 250
    for ts in (first, first + 100):  # the second puts the leave off; the stored timer stays with the first
        put(shop, track(userId="alice"), received_at=ts)
        settle()
    monkeypatch.setattr(claim, "TIMERS", 0)  # so many others are due
    while now_ms() <= first + 100 + HOUR:
        pass
    again = now_ms()
    put(shop, track(userId="alice"), received_at=again)
    settle()
    ats = list(Change.objects.filter(project=shop).order_by("seq").values_list("op", "at"))
    assert ats == [("enter", first), ("leave", first + 100 + HOUR), ("enter", again)]


def test_a_backfill_killed_before_its_last_word_is_ended_by_the_next(shop: Project) -> None:
    keen = persona(shop, "keen", viewed(1))
    assert not backfill.waits()
    Persona.objects.filter(pk=keen.pk).update(status="backfilling")  # all jobs are done, nobody has said so
    assert backfill.waits()
    settle()
    keen.refresh_from_db()
    assert keen.status == "live"
    assert not backfill.waits()


@pytest.mark.parametrize(
    "deed",
    [
        lambda one: services.update_persona(persona=one, changes={"status": "paused"}, actor="alice"),
        lambda one: services.update_persona(persona=one, changes={"status": "draft"}, actor="alice"),
        lambda one: services.update_persona(persona=one, changes={"rule": {"v": 1, "rule": viewed(2)}}, actor="alice"),
        lambda one: services.delete_persona(persona=one, actor="alice"),
    ],
    ids=["pause", "draft", "rule", "delete"],
)
def test_whoever_saves_locks_the_jobs_before_the_head_as_a_page_does(
    shop: Project, deed: Callable[[Persona], object]
) -> None:
    keen = persona(shop, "keen", viewed(1))
    with CaptureQueriesContext(
        connection,
    ) as done:
        deed(keen)
    order = [
        table
        for query in done.captured_queries
        for table in ("segments_backfilljob", "segments_head")
        if table in query["sql"] and not query["sql"].startswith("SELECT")
    ]
    assert order == ["segments_backfilljob", "segments_head"]


def test_what_was_deleted_meanwhile_cannot_be_changed(shop: Project) -> None:
    keen = persona(shop, "keen", viewed(1))
    put(shop, track(userId="alice"), received_at=now_ms())
    settle()
    services.delete_persona(persona=keen, actor="alice")
    settle()
    for deed in (
        lambda: services.update_persona(persona=keen, changes={"status": "live"}, actor="bob"),
        lambda: services.delete_persona(persona=keen, actor="bob"),
    ):
        with pytest.raises(Problem) as refused:
            deed()
        assert refused.value.status == 404
    settle()
    assert Persona.objects.get(pk=keen.pk).status == "draft"
    assert log(shop) == [("alice", "enter", "keen", "event"), ("alice", "leave", "keen", "definition")]
