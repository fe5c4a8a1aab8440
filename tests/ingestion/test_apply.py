"""Batches in the inbox become events, profiles and marks."""

from pathlib import Path

import pytest

from ingestion import tasks
from ingestion.applying import stale, waiting
from ingestion.applying.names import NAMES_MOST, PUBLIC_MOST
from ingestion.models import AppliedBatch, Batch, DeadLetter, DedupeKey, Event, EventName, Profile, StaleProfiles
from keys.models import Project
from keys.services import issue_key
from persona.lib import ids
from persona.lib.clock import parse_instant, rfc3339
from tests.ingestion.applying import (
    RECEIVED,
    apply_all,
    apply_events,
    dead_letters,
    fate,
    identify,
    marks,
    people,
    profile_of,
    put,
    statements,
    stored,
    track,
)

pytestmark = pytest.mark.django_db


def test_an_event_becomes_a_row_a_profile_and_a_mark(project: Project) -> None:
    batch = apply_events(project, track("order_placed", userId="u1", messageId="m1", properties={"total": 12.5}))
    profile = profile_of(project, "user", "u1")
    assert stored(project) == [("order_placed", RECEIVED, profile.id, {"total": 12.5})]
    assert fate(project, batch) == (1, 0, 0)
    assert not Batch.objects.exists()
    assert profile.public_id.startswith("u_")
    assert profile.identified
    assert (profile.first_seen, profile.last_seen) == (RECEIVED, RECEIVED)
    assert profile.shard == ids.shard_of(project.id, profile.id, project.shards)
    mark = marks(project)[profile.id]
    assert (mark.what, mark.names) == (stale.NEW, (1,))
    assert (mark.received_at, mark.ts, mark.uid) == (RECEIVED, RECEIVED, ids.event_uid("m1").hex())


def test_context_and_properties_are_kept_as_they_are(project: Project) -> None:
    odd = {"a": None, "b": [1, 1.5, "ü", {"c": True}], "": "", "page.path": "/x", "n": 12345678901234567}
    apply_events(project, track(userId="u1", properties=odd), context={"library": {"name": "x"}})
    (event,) = stored(project)
    assert event[3] == odd
    assert list(Event.objects.filter(project=project).values_list("context", flat=True)) == [{"library": {"name": "x"}}]


def test_an_event_that_names_nobody_is_kept_without_a_profile(project: Project) -> None:
    assert fate(project, apply_events(project, track("seen"))) == (1, 0, 0)
    assert stored(project) == [("seen", RECEIVED, None, {})]
    assert not Profile.objects.exists()
    assert marks(project) == {}


def test_a_page_and_an_identify_are_events_named_after_their_type(project: Project) -> None:
    apply_events(project, {"type": "page", "userId": "u1", "name": "Home"}, identify("u1", {"plan": "pro"}))
    assert sorted((name, props) for name, _, _, props in stored(project)) == [
        ("identify", {"plan": "pro"}),
        ("page", {"name": "Home"}),
    ]


def test_names_keep_their_numbers(project: Project) -> None:
    apply_events(project, track("b", userId="u1"), track("a", userId="u1"))
    apply_events(project, track("c", userId="u1"), track("a", userId="u1"))
    names = dict(EventName.objects.filter(project=project).values_list("name", "id"))
    assert names == {"a": 1, "b": 2, "c": 3}


def test_a_mark_names_the_last_event_and_every_event_name(project: Project) -> None:
    late, early = "2023-01-02T00:00:00Z", "2023-01-01T00:00:00Z"
    apply_events(project, track("a", userId="u1"))
    apply_events(
        project,
        track("b", userId="u1", messageId="late", timestamp=late),
        track("a", userId="u1", messageId="early", timestamp=early),
    )
    mark = marks(project)[profile_of(project, "user", "u1").id]
    assert (mark.what, mark.names, mark.uid) == (0, (1, 2), ids.event_uid("late").hex())
    assert (mark.ts, mark.received_at) == (parse_instant(late), RECEIVED)


def test_there_is_one_row_of_marks_for_each_shard(project: Project) -> None:
    put(project, *(track(userId=f"u{number}") for number in range(100)), received_at=RECEIVED)
    put(project, *(track(userId=f"u{number}") for number in range(100)), received_at=RECEIVED - 5)
    apply_all()
    rows = StaleProfiles.objects.filter(project=project)
    assert sorted(rows.values_list("shard", flat=True)) == list(range(project.shards))
    assert set(rows.values_list("at", flat=True)) == {RECEIVED - 5}
    for row in rows:
        for mark in stale.decode(bytes(row.items)):
            assert ids.shard_of(project.id, mark.profile, project.shards) == row.shard


def test_first_and_last_seen_are_the_extremes_of_the_events(project: Project) -> None:
    apply_events(project, track(userId="u1", timestamp="2023-05-01T00:00:00Z"))
    apply_events(project, track(userId="u1", timestamp="2023-06-01T00:00:00Z"))
    apply_events(project, track(userId="u1", timestamp="2023-04-01T00:00:00Z"))
    profile = profile_of(project, "user", "u1")
    assert profile.first_seen == parse_instant("2023-04-01T00:00:00Z")
    assert profile.last_seen == parse_instant("2023-06-01T00:00:00Z")


# -- time ----------------------------------------------------------------------------------------------------------

RECEIVED_AT = rfc3339(RECEIVED)
AN_HOUR_EARLIER = rfc3339(RECEIVED - 3_600_000)
AN_HOUR_LATER = rfc3339(RECEIVED + 3_600_000)


@pytest.mark.parametrize(
    ("timestamp", "sent_at", "ts"),
    [
        (None, None, RECEIVED),
        (None, AN_HOUR_EARLIER, RECEIVED),
        (AN_HOUR_EARLIER, None, RECEIVED - 3_600_000),
        (AN_HOUR_LATER, None, RECEIVED),
        # The sender's clock is an hour fast, and it sent the event a second after it happened.
        (AN_HOUR_LATER, rfc3339(RECEIVED + 3_601_000), RECEIVED - 1_000),
        # It is an hour slow.
        (AN_HOUR_EARLIER, rfc3339(RECEIVED - 3_598_000), RECEIVED - 2_000),
        # It claims that the event will happen after it was sent.
        (AN_HOUR_LATER, RECEIVED_AT, RECEIVED),
        ("1970-01-01T00:00:00Z", None, 0),
        ("1900-01-01T00:00:00Z", None, 0),
        ("9999-12-31T23:59:59Z", None, RECEIVED),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", RECEIVED),
    ],
)  # fmt: skip
def test_the_instant_of_an_event(project: Project, timestamp: str | None, sent_at: str | None, ts: int) -> None:
    event = track(userId="u1") | ({"timestamp": timestamp} if timestamp else {})
    apply_events(project, event, **({"sentAt": sent_at} if sent_at else {}))
    assert [row[1] for row in stored(project)] == [ts]


def test_an_inbox_clock_that_runs_ahead_is_held_back_by_the_database(project: Project) -> None:
    ahead = 4_000_000_000_000
    apply_events(project, track(userId="u1"), received_at=ahead)
    (row,) = Event.objects.filter(project=project)
    assert row.ts == row.received_at < ahead


# -- duplicates ----------------------------------------------------------------------------------------------------


def test_the_first_of_two_events_with_one_id_wins_within_a_batch(project: Project) -> None:
    first = track("a", userId="u1", messageId="m", properties={"n": 1})
    batch = apply_events(project, first, track("a", userId="u2", messageId="m", properties={"n": 2}))
    assert fate(project, batch) == (1, 1, 0)
    assert [props for *_, props in stored(project)] == [{"n": 1}]
    assert people(project) == {frozenset({"user:u1"})}


def test_the_first_wins_across_the_batches_of_a_turn_and_across_turns(project: Project) -> None:
    same = track("a", userId="u1", messageId="m")
    batches = [put(project, same), put(project, same)]
    apply_all()
    batches.append(apply_events(project, same, track("a", userId="u1", messageId="other")))
    assert [fate(project, batch) for batch in batches] == [(1, 0, 0), (0, 1, 0), (1, 1, 0)]
    assert len(stored(project)) == 2


def test_a_retry_with_another_time_is_the_same_event(project: Project) -> None:
    apply_events(project, track("a", userId="u1", messageId="m", timestamp="2023-01-01T00:00:00Z"))
    apply_events(project, track("a", userId="u1", messageId="m", timestamp="2023-03-01T00:00:00Z"))
    assert [ts for _, ts, *_ in stored(project)] == [parse_instant("2023-01-01T00:00:00Z")]


def test_a_batch_that_comes_twice_is_applied_once(project: Project) -> None:
    """Without ids of their own its events are known by the batch."""
    events = [track("a", userId="u1"), track("b")]
    put(project, *events, batch_id="b_same")
    put(project, *events, batch_id="b_same")
    assert apply_all() == 2
    put(project, *events, batch_id="b_same")
    assert apply_all() == 1
    assert fate(project, "b_same") == (2, 0, 0)
    assert len(stored(project)) == 2
    assert not Batch.objects.exists()


def test_a_batch_whose_fate_was_forgotten_still_adds_nothing(project: Project) -> None:
    events = [track("a", userId="u1"), track("b"), identify("u1", {"plan": "pro"})]
    put(project, *events, batch_id="b_same")
    apply_all()
    AppliedBatch.objects.all().delete()
    put(project, *events, batch_id="b_same")
    apply_all()
    assert fate(project, "b_same") == (0, 3, 0)
    assert len(stored(project)) == 3


def test_a_large_turn_stores_what_is_new_of_it(project: Project) -> None:
    """Once with a single known event among the new, once with nothing but known ones, then with new ones again."""

    def turn(first: int, number: int) -> tuple[int, int, int]:
        events = [track("a", userId=f"u{n % 7}", messageId=f"m{n}") for n in range(first, first + number)]
        batches = [put(project, *events[place : place + 100]) for place in range(0, number, 100)]
        assert tasks.apply_some() == len(batches)
        stored, known, rejected = zip(*(fate(project, batch) for batch in batches), strict=True)
        return sum(stored), sum(known), sum(rejected)

    assert [turn(*of) for of in ((0, 100), (99, 301), (0, 400), (400, 300))] == [
        (100, 0, 0), (300, 1, 0), (0, 400, 0), (300, 0, 0)
    ]  # fmt: skip
    assert Event.objects.filter(project=project).count() == DedupeKey.objects.filter(project=project).count() == 700


# -- dead letters --------------------------------------------------------------------------------------------------


def test_what_the_wire_refuses_is_a_dead_letter_and_costs_its_neighbors_nothing(project: Project) -> None:
    batch = apply_events(project, track("a", userId="u1"), {"type": "nonsense", "x": 1}, track("b", userId="u1"))
    assert fate(project, batch) == (2, 0, 1)
    (letter,) = DeadLetter.objects.filter(project=project)
    assert (letter.index, letter.code, letter.dialect, letter.batch_id) == (1, "event.type_unknown", "pipeline", batch)
    assert bytes(letter.body) == b'{"type":"nonsense","x":1}'
    assert letter.detail


def test_names_beyond_the_limit_are_dead_letters(project: Project) -> None:
    EventName.objects.bulk_create(EventName(project=project, id=n, name=f"n{n}") for n in range(1, NAMES_MOST))
    batch = apply_events(project, track("first", userId="u1"), track("second", userId="u1"), track("n7", userId="u1"))
    assert fate(project, batch) == (2, 0, 1)
    assert dead_letters(project) == [(1, "event.too_many_names")]
    assert {name for name, *_ in stored(project)} == {"first", "n7"}


def test_a_publishable_key_cannot_use_up_the_names(project: Project) -> None:
    keys = {kind: issue_key(project=project, kind=kind, name=kind, actor="test")[0].pk for kind in ("pk", "sk")}
    EventName.objects.bulk_create(EventName(project=project, id=n, name=f"n{n}") for n in range(1, PUBLIC_MOST - 1))
    public = put(project, track("p1"), track("p2"), track("n7"), track("both"), key_id=keys["pk"])
    secret = put(project, track("s1"), track("both"), key_id=keys["sk"])
    apply_all()
    assert (fate(project, public), fate(project, secret)) == ((2, 0, 2), (2, 0, 0))
    later = put(project, track("p3"), key_id=keys["pk"])
    anybody = put(project, track("s2"))
    apply_all()
    assert (fate(project, later), fate(project, anybody)) == ((0, 0, 1), (1, 0, 0))
    assert {name for name, *_ in stored(project)} == {"n7", "both", "s1", "s2"}


def test_a_rejected_event_may_come_again_corrected(project: Project) -> None:
    apply_events(project, identify("u1", {"long": "x" * 40_000}))
    too_much = identify("u1", {"more": "x" * 40_000}, messageId="m")
    assert fate(project, apply_events(project, too_much)) == (0, 0, 1)
    assert fate(project, apply_events(project, identify("u1", {"more": "x"}, messageId="m"))) == (1, 0, 0)


def test_a_rejected_repetition_does_not_free_the_id_of_the_event_that_was_stored(project: Project) -> None:
    EventName.objects.create(project=project, id=NAMES_MOST - 1, name="last but one")
    apply_events(project, track("a", userId="u1", messageId="m"))
    assert fate(project, apply_events(project, track("new", userId="u1", messageId="m"))) == (0, 0, 1)
    assert fate(project, apply_events(project, track("a", userId="u1", messageId="m"))) == (0, 1, 0)


# -- projects ------------------------------------------------------------------------------------------------------


def test_projects_take_turns_and_are_never_mixed(project: Project, other_project: Project) -> None:
    for number in range(3):
        for one in (project, other_project):
            put(one, track("a", userId="u1", messageId=f"m{number}", properties={"of": one.slug}))
    assert [tasks.apply_some(), tasks.apply_some(), tasks.apply_some()] == [3, 3, 0]
    for one in (project, other_project):
        assert [props for *_, props in stored(one)] == [{"of": one.slug}] * 3
        assert people(one) == {frozenset({"user:u1"})}
    assert profile_of(project, "user", "u1").id != profile_of(other_project, "user", "u1").id


def test_a_project_with_a_flood_waiting_does_not_hold_up_another(
    project: Project, other_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "EVENTS_A_TURN", 2)
    for _ in range(6):
        put(project, track("a", userId="u1"))
    put(other_project, track("a", userId="u1"))
    tasks.apply_some()
    tasks.apply_some()
    assert len(stored(other_project)) == 1
    assert len(stored(project)) == 2


def test_a_turn_takes_the_oldest_up_to_its_limits_and_at_least_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "EVENTS_A_TURN", 3)
    for size in (4, 2, 1, 1):
        put(project, *(track() for _ in range(size)))
    assert [tasks.apply_some() for _ in range(4)] == [1, 2, 1, 0]
    monkeypatch.setattr(waiting, "BYTES_A_TURN", 500)
    for _ in range(3):
        put(project, track(properties={"x": "y" * 300}))
    assert [tasks.apply_some() for _ in range(4)] == [1, 1, 1, 0]


# -- cost ----------------------------------------------------------------------------------------------------------


def test_the_number_of_statements_does_not_depend_on_the_number_of_events(project: Project, tmp_path: Path) -> None:
    def busy(number: int, of: str) -> None:
        for place in range(0, number, 100):
            size = min(100, number - place)
            put(
                project,
                *(track("a", userId=f"{of}{place + i}", anonymousId=f"{of}a{place + i}") for i in range(size)),
                *(identify(f"{of}{place + i}", {"n": i}) for i in range(size)),
            )

    apply_events(project, identify("somebody", {"n": 0}))
    counts = []
    for number, of in ((2, "w"), (60, "x"), (200, "y"), (500, "z")):  # the keys of the last two go in by COPY
        # Known visitors first, so that the turn that is counted merges, updates and inserts.
        apply_events(project, *(track("a", anonymousId=f"{of}a{i}") for i in range(0, min(number, 200), 2)))
        apply_events(project, *(track("a", userId=f"{of}{i}") for i in range(0, min(number, 200), 2)))
        busy(number, of)
        with statements(tmp_path) as sent:
            assert tasks.apply_some()
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert counts[2] == counts[3]
    assert max(counts) < 30


def test_nothing_to_do_costs_one_statement(project: Project, tmp_path: Path) -> None:
    with statements(tmp_path) as sent:
        assert tasks.apply_some() == 0
    assert len(sent) == 1
