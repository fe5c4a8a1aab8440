"""What happens when more comes at once than a turn takes, or when somebody is killed or saves at the wrong moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from keys.models import Project
from persona.lib.problems import Problem
from segments import backfill, claim, evaluator, facts, services
from segments.models import Change, Persona
from tests.ingestion.applying import apply_all, identify, put, track
from tests.segments.living import assert_log_is_state, log, members, now_ms, persona, settle, viewed
from tests.segments.timing import Clock

pytestmark = pytest.mark.django_db

HOUR = 3_600_000


def test_a_timer_beyond_those_a_turn_takes_still_leaves_at_its_exact_instant(
    shop: Project, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    persona(shop, "keen", viewed(1, "PT1H"))
    first = now_ms() - HOUR + 60_000
    for ts in (first, first + 100):  # the second puts the leave off; the stored timer stays with the first
        put(shop, track(userId="alice"), received_at=ts)
        settle()
    monkeypatch.setattr(claim, "TIMERS", 0)  # so many others are due
    clock.pass_by(120_000)
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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("most", "workers"), [(2_000, 1), (claim.MARK_BYTES, 2)], ids=["backlog", "company"])
def test_a_turn_takes_its_part_and_another_worker_the_other_lanes(
    project: Project, monkeypatch: pytest.MonkeyPatch, settings: Settings, most: int, workers: int
) -> None:
    monkeypatch.setattr(claim, "MARK_BYTES", most)
    settings.PERSONA_WORKERS = workers
    persona(project, "keen", viewed(1))
    put(project, *(track(userId=f"user-{n}") for n in range(100)), received_at=now_ms())
    apply_all()

    def another_worker() -> int:
        try:
            return evaluator.evaluate_some()
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as worker:
        held = claim.claim(project.pk)
        taken = worker.submit(another_worker).result(30)
        transaction.set_rollback(True)
    assert held is not None
    assert 0 < len(held.marks) < 80
    assert 0 < taken <= 100 - len(held.marks)
    settle()
    assert len(members(project, "keen")) == 100
    assert_log_is_state(project)


@pytest.mark.django_db(transaction=True)
def test_who_is_merged_away_while_a_worker_reads_is_not_judged_without_her_events(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    persona(project, "quiet", {**viewed(1), "cmp": "eq", "value": 0})
    put(project, track(userId="alice"), track(anonymousId="device"), received_at=now_ms())
    settle()
    put(project, track(anonymousId="device"), received_at=now_ms())
    apply_all()
    read = facts.with_events

    def merge() -> None:
        try:
            put(project, identify("alice", {}, anonymousId="device"), received_at=now_ms())
            apply_all()
        finally:
            connection.close()

    def late(*args: Any, **given: Any) -> Any:
        with ThreadPoolExecutor(1) as writer:
            writer.submit(merge).result(30)
        monkeypatch.undo()
        return read(*args, **given)

    monkeypatch.setattr(facts, "with_events", late)  # between the two statements, another process is at work
    settle()
    assert log(project) == []
    assert_log_is_state(project)
