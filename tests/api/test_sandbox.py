"""A hypothetical event: what it would change, at once and later; and nothing is written."""

from typing import Any

import pytest

from ingestion.models import Batch, Event, Profile
from keys.models import Project
from persona.lib.clock import parse_instant, rfc3339
from segments.models import Change, Head, Persona
from tests.api.conftest import Api
from tests.ingestion.applying import identify, put, track
from tests.segments.living import everyone_of, never, now_ms, persona, settle, trait, viewed

pytestmark = pytest.mark.django_db


@pytest.fixture
def crowd(project: Project) -> Project:
    persona(project, "keen", everyone_of(viewed(2, "PT1H"), never("checkout_completed", "P1D")))
    persona(project, "pro", trait("plan", "pro"))
    put(project, track(userId="alice"), received_at=now_ms() - 1_000)
    settle()
    return project


def ops(moves: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(move["persona"], move["op"]) for move in moves]


def test_one_more_view_would_let_alice_in_until_her_first_one_is_too_old(api: Api, crowd: Project) -> None:
    before = Head.objects.get(project=crowd).last_seq, Event.objects.count(), Batch.objects.count()
    seen_at = Event.objects.get(project=crowd).ts
    status, found = api.ask("POST", "sandbox", {"profile": "alice", "event": track()})
    assert (status, ops(found["now"])) == (200, [("keen", "enter")])
    assert ops(found["later"]) == [("keen", "leave")]
    assert parse_instant(found["later"][0]["at"]) == seen_at + 3_600_000
    assert before == (Head.objects.get(project=crowd).last_seq, Event.objects.count(), Batch.objects.count())


def test_a_purchase_would_change_nothing_for_her_now(api: Api, crowd: Project) -> None:
    found = api.ask("POST", "sandbox", {"profile": "alice", "event": track("checkout_completed")})[1]
    assert (found["now"], found["later"]) == ([], [])


def test_traits_count_too(api: Api, crowd: Project) -> None:
    event = {"type": "identify", "userId": "alice", "traits": {"plan": "pro"}}
    assert ops(api.ask("POST", "sandbox", {"profile": "alice", "event": event})[1]["now"]) == [("pro", "enter")]


def test_somebody_new(api: Api, crowd: Project) -> None:
    assert api.ask("POST", "sandbox", {"event": track()})[1] == {"now": [], "later": []}
    assert Profile.objects.filter(project=crowd).count() == 1


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (track(timestamp=-20 * 60_000), [("keen", "enter")]),
        (track(timestamp=-2 * 3_600_000), []),
        (track(timestamp=-500 * 86_400_000), []),
        (track(timestamp="1970-01-01T00:00:00Z"), []),
        (track(timestamp="2100-01-01T00:00:00Z"), [("keen", "enter")]),
        (track(messageId="seen"), []),
        (identify("alice", {"plan": "pro"}), [("pro", "enter")]),
        (identify("alice", {"plan": "pro"}, timestamp=-86_400_000), []),
    ],
    ids=[
        "in the window",
        "too old",
        "before the retention",
        "the first instant",
        "not yet",
        "known",
        "new",
        "overtaken",
    ],
)
def test_it_is_judged_as_if_it_had_come(
    event: dict[str, Any], expected: list[tuple[str, str]], api: Api, project: Project
) -> None:
    """The answer is what happens when the event is really sent. A number is so many ms from now."""
    if isinstance(event.get("timestamp"), int):
        event = {**event, "timestamp": rfc3339(now_ms() + event["timestamp"])}
    persona(project, "keen", viewed(2, "PT1H"))
    persona(project, "pro", trait("plan", "pro"))
    put(project, track(userId="alice", messageId="seen"), received_at=now_ms() - 1_000)
    put(project, identify("alice", {"plan": "free"}), received_at=now_ms() - 1_000)
    settle()
    head = Head.objects.get(project=project).last_seq
    found = api.ask("POST", "sandbox", {"profile": "alice", "event": event})[1]
    assert ops(found["now"]) == expected
    put(project, {"userId": "alice", **event}, received_at=now_ms())
    settle()
    moved = Change.objects.filter(project=project, seq__gt=head).order_by("seq")
    slugs = dict(Persona.objects.filter(project=project).values_list("id", "slug"))
    assert [(slugs[one.persona_id], one.op) for one in moved] == expected


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"profile": "nobody", "event": {"type": "page"}}, 404, "not_found"),
        ({"event": {"type": "track"}}, 400, "event.field_missing"),
        ({"event": 7}, 400, "event.not_an_object"),
        ({"profile": "alice"}, 400, "request.invalid"),
    ],
)
def test_what_cannot_be_asked(api: Api, crowd: Project, body: dict[str, object], status: int, code: str) -> None:
    answer = api.ask("POST", "sandbox", body)
    assert (answer[0], answer[1]["code"]) == (status, code)
