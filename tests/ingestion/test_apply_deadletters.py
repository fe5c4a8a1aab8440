"""Dead letters come back: corrected by a person, through the inbox like any event."""

import msgspec
import pytest
from django.contrib.auth.models import User
from django.test import Client

from ingestion import deadletters
from ingestion.events import EVENT_BYTES, TRAITS_BYTES
from ingestion.models import Batch, DeadLetter, Event
from keys.models import AuditEntry, Project
from persona.lib.problems import Problem
from tests.ingestion.applying import (
    RECEIVED,
    apply_all,
    apply_events,
    fate,
    identify,
    profile_of,
    put_body,
    stored,
    track,
)


def letter_of(project: Project) -> DeadLetter:
    (letter,) = DeadLetter.objects.filter(project=project)
    return letter


@pytest.mark.django_db
def test_an_event_that_only_the_writer_refuses_is_kept_as_it_was_sent(project: Project) -> None:
    sent = identify("u1", {"a": "x" * TRAITS_BYTES}, unknown="kept", messageId="m1")
    apply_events(project, track("a", userId="u1"), sent, track("b", userId="u1"))
    letter = letter_of(project)
    assert (letter.index, letter.code) == (1, "profile.traits_too_large")
    assert msgspec.json.decode(bytes(letter.body)) == sent


@pytest.mark.django_db
def test_no_more_than_a_limit_of_an_event_is_kept(project: Project) -> None:
    apply_events(project, track("a", properties={"x": "y" * 2 * EVENT_BYTES}))
    letter = letter_of(project)
    assert (letter.code, len(letter.body)) == ("event.too_large", EVENT_BYTES)


@pytest.mark.django_db(transaction=True)
def test_a_corrected_event_goes_through_the_inbox_and_its_letter_is_gone(project: Project, alice: User) -> None:
    apply_events(project, {"type": "trakc", "event": "order_placed", "userId": "u1"})
    letter = letter_of(project)
    corrected = bytes(letter.body).replace(b"trakc", b"track")
    batch = deadletters.redrive(letter=letter, actor=alice, event=corrected)
    assert not DeadLetter.objects.exists()
    apply_all()
    assert fate(project, batch) == (1, 0, 0)
    profile = profile_of(project, "user", "u1")
    assert [row[:3] for row in stored(project)] == [("order_placed", RECEIVED, profile.id)]
    assert AuditEntry.objects.filter(project=project, actor="alice", action="dead_letter.redriven").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_letter_that_was_put_back_twice_is_stored_once(project: Project, alice: User) -> None:
    """The process ended before the letter was deleted."""
    apply_events(project, {"type": "trakc", "event": "a", "userId": "u1"})
    letter = letter_of(project)
    corrected = bytes(letter.body).replace(b"trakc", b"track")
    for _ in range(2):
        deadletters.redrive(letter=letter, actor=alice, event=corrected)
        apply_all()
    assert len(stored(project)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_letter_that_was_put_back_in_two_corrections_is_stored_once(project: Project, alice: User) -> None:
    """As above, and then it was corrected differently: the second batch is applied too, and adds nothing."""
    apply_events(project, {"type": "trakc", "event": "a", "userId": "u1"})
    letter = letter_of(project)
    batches = [
        deadletters.redrive(letter=letter, actor=alice, event=msgspec.json.encode(track(name, userId="u1")))
        for name in ("a", "b")
    ]
    apply_all()
    assert [fate(project, batch) for batch in batches] == [(1, 0, 0), (0, 1, 0)]
    assert [name for name, *_ in stored(project)] == ["a"]


@pytest.mark.django_db(transaction=True)
def test_a_letter_comes_back_with_the_clock_and_context_of_its_first_request(project: Project, alice: User) -> None:
    sent = {"type": "trakc", "event": "a", "timestamp": "2023-11-14T22:00:00Z"}
    frame = {"sentAt": "2023-11-14T22:00:10Z", "context": {"app": "shop"}}
    apply_events(project, sent, **frame)
    deadletters.redrive(letter=letter_of(project), actor=alice, event=msgspec.json.encode({**sent, "type": "track"}))
    apply_all()
    (event,) = Event.objects.filter(project=project)
    assert (event.ts, event.received_at, event.context) == (RECEIVED - 10_000, RECEIVED, {"app": "shop"})


@pytest.mark.django_db(transaction=True)
def test_an_unusable_frame_does_not_come_back(project: Project) -> None:
    apply_events(project, {"type": "trakc"}, sentAt=7, context="none")
    assert bytes(letter_of(project).frame) == b""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("event", "code"),
    [
        (None, "event.type_unknown"),
        (b"not json", "request.not_json"),
        (b'{"type":"page"},{"type":"page"}', "dead_letter.not_one_event"),
        (b"", "batch.empty"),
    ],
    ids=["as it was", "not json", "two events", "nothing"],
)
def test_what_the_wire_refuses_still_stays_a_letter(
    project: Project, alice: User, event: bytes | None, code: str
) -> None:
    apply_events(project, {"type": "trakc"})
    with pytest.raises(Problem) as refusal:
        deadletters.redrive(letter=letter_of(project), actor=alice, event=event)
    assert (refusal.value.status, refusal.value.code) == (400, code)
    assert not Batch.objects.exists()
    assert DeadLetter.objects.count() == 1


@pytest.mark.django_db
def test_letters_are_listed_by_pages_and_by_project(project: Project, other_project: Project) -> None:
    apply_events(project, *({"type": "odd"} for _ in range(5)))
    apply_events(other_project, {"type": "odd"})
    first = deadletters.newest(project=project, limit=3)
    rest = deadletters.newest(project=project, before=first[-1].pk)
    assert [letter.index for letter in (*first, *rest)] == [4, 3, 2, 1, 0]


# -- the admin -----------------------------------------------------------------------------------------------------


@pytest.fixture
def operator(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["profile", "batch", "deadletter"])
def test_only_the_operator_sees_the_lists(operator: Client, bob: User, project: Project, model: str) -> None:
    apply_events(project, track("a", userId="u1"), {"type": "odd"})
    put_body(project, b'{"batch":[]}')
    address = f"/admin/ingestion/{model}/"
    assert "shop" in operator.get(address).content.decode()
    assert operator.get(f"{address}?project__id__exact={project.pk}").status_code == 200
    outsider = Client()
    outsider.force_login(bob)
    assert outsider.get(address).status_code == 302


@pytest.mark.django_db
def test_profiles_are_found_by_their_ids_as_a_whole(operator: Client, project: Project, other_project: Project) -> None:
    apply_events(project, track("a", userId="u-one"), track("a", anonymousId="u-two"))
    one, two = profile_of(project, "user", "u-one"), profile_of(project, "anon", "u-two")
    for term, expected in (("u-one", {one}), ("u-two", {two}), (one.public_id, {one}), ("u-", set()), ("", {one, two})):
        answer = operator.get("/admin/ingestion/profile/", {"q": term})
        assert set(answer.context["cl"].queryset) == expected
    detail = operator.get(f"/admin/ingestion/profile/{one.pk}/change/").content.decode()
    assert "user: u-one" in detail
    assert 'name="_save"' not in detail


@pytest.mark.django_db
def test_a_parked_batch_is_tried_again_from_the_list(operator: Client, project: Project) -> None:
    put_body(project, b'{"batch":[{"type":"page"}]}', dialect="unknown", batch_id="b_parked")
    apply_all()
    parked = Batch.objects.get(project=project)
    answer = operator.get("/admin/ingestion/batch/", {"q": "b_parked", "parked__exact": "1"})
    assert list(answer.context["cl"].queryset) == [parked]
    assert "type" in operator.get(f"/admin/ingestion/batch/{parked.pk}/change/").content.decode()
    operator.post("/admin/ingestion/batch/", {"action": "try_again", "_selected_action": [parked.pk], "confirm": "yes"})
    parked.refresh_from_db()
    assert (parked.parked, parked.error) == (False, "")


@pytest.mark.django_db(transaction=True)
def test_a_dead_letter_is_corrected_on_its_page(operator: Client, project: Project) -> None:
    apply_events(project, {"type": "trakc", "event": "a", "userId": "u1"})
    address = f"/admin/ingestion/deadletter/{letter_of(project).pk}/change/"
    assert "trakc" in operator.get(address).content.decode()
    refused = operator.post(address, {"event": '{"type":"trakc"}'})
    assert "One of track" in str(refused.context["adminform"].form.errors["event"])
    operator.post(address, {"event": '{"type":"track","event":"a","userId":"u1"}'})
    apply_all()
    assert [name for name, *_ in stored(project)] == ["a"]
    assert not DeadLetter.objects.exists()


@pytest.mark.django_db
def test_a_large_dead_letter_is_shown_whole_because_what_is_shown_is_saved(operator: Client, project: Project) -> None:
    apply_events(project, track("a", properties={"x": "y" * 60_000}, timestamp="yesterday"))
    page = operator.get(f"/admin/ingestion/deadletter/{letter_of(project).pk}/change/")
    assert "y" * 60_000 in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_letters_are_put_back_from_the_list(operator: Client, project: Project) -> None:
    earlier = identify("u1", {"a": "x" * 40_000}, timestamp="2023-01-01T00:00:00Z")
    batch = apply_events(project, earlier, identify("u1", {"b": "x" * 40_000}))
    found = operator.get("/admin/ingestion/deadletter/", {"q": batch}).context["cl"].queryset
    assert [letter.code for letter in found] == ["profile.traits_too_large"]
    apply_events(project, identify("u1", {"a": None, "b": None}))
    operator.post(
        "/admin/ingestion/deadletter/",
        {"action": "redrive", "_selected_action": [letter_of(project).pk], "confirm": "yes"},
    )
    apply_all()
    assert not DeadLetter.objects.exists()
