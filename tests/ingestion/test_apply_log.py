"""The log of what was applied: written while somebody watches, numbered without gaps."""

import pytest

from ingestion import log
from ingestion.models import Applied, WriterLane
from keys.models import Project
from persona.lib import ids
from tests.ingestion.applying import RECEIVED, apply_events, identify, profile_of, track

pytestmark = pytest.mark.django_db

FAR = 9_000_000_000_000


def test_nothing_is_written_while_nobody_watches(project: Project) -> None:
    apply_events(project, track("a", userId="u1"))
    assert log.after(project.id, 0) == []
    assert WriterLane.objects.get(project=project).applied_seq == 0


def test_each_turn_is_one_row_and_says_what_became_of_every_event(project: Project) -> None:
    log.watch(project.id, now=FAR)
    batch = apply_events(
        project,
        track("a", userId="u1", messageId="m1", properties={"n": 1}),
        track("a", userId="u1", messageId="m1", properties={"n": 2}),
        {"type": "odd"},
        identify("u1", {"plan": "pro"}, timestamp="9999-01-01T00:00:00Z"),
    )
    (row,) = log.after(project.id, 0)
    assert row.seq == 1
    profile = profile_of(project, "user", "u1").public_id
    by_index = {event["index"]: event for event in row.events}
    assert by_index[0] == {
        "id": ids.event_uid("m1").hex(), "outcome": "stored", "batch": batch, "index": 0, "dialect": "pipeline",
        "received_at": RECEIVED, "name": "a", "ts": RECEIVED, "profile": profile,
        "external_id": "u1", "props": {"n": 1},
    }  # fmt: skip
    assert (by_index[1]["outcome"], by_index[1]["props"]) == ("duplicate", {"n": 2})
    assert (by_index[2]["outcome"], by_index[2]["code"]) == ("rejected", "event.type_unknown")
    assert (by_index[3]["outcome"], by_index[3]["clamped"]) == ("stored", True)


def test_readers_go_on_after_their_position(project: Project, other_project: Project) -> None:
    for one in (project, other_project):
        log.watch(one.id, now=FAR)
    for number in range(3):
        apply_events(project, track(f"e{number}", userId="u1"))
    apply_events(other_project, track("elsewhere", userId="u1"))
    assert [row.seq for row in log.after(project.id, 0)] == [1, 2, 3]
    assert [row.events[0]["name"] for row in log.after(project.id, 1, limit=1)] == ["e1"]
    assert [row.events[0]["name"] for row in log.after(other_project.id, 0)] == ["elsewhere"]


def test_a_watch_ends_by_itself_and_is_never_shortened(project: Project) -> None:
    log.watch(project.id, now=FAR, seconds=10)
    log.watch(project.id, now=5, seconds=10)
    assert WriterLane.objects.get(project=project).watched_until == FAR + 10_000
    WriterLane.objects.filter(project=project).update(watched_until=RECEIVED)
    apply_events(project, track("a"))
    assert not Applied.objects.exists()


def test_large_properties_are_cut_short_and_stay_json(project: Project) -> None:
    log.watch(project.id, now=FAR)
    apply_events(project, track("a", properties={"small": 1, "large": "x" * 5_000, "after": 2}))
    (row,) = log.after(project.id, 0)
    assert row.events[0]["props"] == {"small": 1}
