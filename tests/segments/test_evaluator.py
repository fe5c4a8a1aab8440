"""From stored events to memberships and log rows: every way in and out of a persona."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from django.db import connection, connections, transaction

from ingestion import tasks
from ingestion.models import StaleProfiles
from keys.models import Project
from segments import cursors, definitions, evaluator
from segments.models import Change, Head, Membership, Persona
from segments.rules import Facts
from segments.services import create_persona, update_persona
from tests.ingestion.applying import alias, apply_all, apply_events, identify, put, statements, track
from tests.segments.living import (
    assert_log_is_state,
    everyone_of,
    log,
    members,
    never,
    now_ms,
    persona,
    settle,
    trait,
    viewed,
)
from tests.segments.timing import Clock
from tests.waiting import until

pytestmark = pytest.mark.django_db


def test_alice_enters_with_the_event_that_is_enough(shop: Project) -> None:
    persona(shop, "keen", viewed(3))
    now = now_ms()
    for number in range(3):
        put(shop, track(userId="alice", messageId=f"m{number}"), received_at=now - 30 + number)
        settle()
    assert log(shop) == [("alice", "enter", "keen", "event")]
    row = Change.objects.get(project=shop)
    assert (row.at, row.version, row.late_ms, row.silent) == (now - 28, 1, 0, False)
    assert len(bytes(row.trigger or b"")) == 16


def test_events_of_one_claim_are_judged_together(shop: Project) -> None:
    persona(shop, "keen", everyone_of(viewed(1), never("checkout_completed")))
    put(shop, track(userId="alice"), track("checkout_completed", userId="alice"), received_at=now_ms())
    settle()
    assert log(shop) == []


def test_she_leaves_at_the_exact_instant_the_window_ends(shop: Project, clock: Clock) -> None:
    persona(shop, "keen", viewed(1, "PT1H"))
    ts = now_ms() - 3_600_000 + 60_000  # the window ends a minute from now
    put(shop, track(userId="alice"), received_at=ts)
    settle()
    assert members(shop, "keen") == {"alice"}
    clock.pass_by(60_000)
    settle()
    left = Change.objects.get(project=shop, op="leave")
    assert (left.at, left.cause, left.trigger) == (ts + 3_600_000, "time", None)


def test_she_enters_by_time_alone_when_what_kept_her_out_has_gone(shop: Project, clock: Clock) -> None:
    persona(shop, "quiet", never("checkout_completed", "PT1H"))
    ts = now_ms() - 3_600_000 + 60_000
    put(shop, track("checkout_completed", userId="alice"), received_at=ts)
    settle()
    assert members(shop, "quiet") == set()
    clock.pass_by(60_000)
    settle()
    entered = Change.objects.get(project=shop)
    assert (entered.op, entered.at, entered.cause) == ("enter", ts + 3_600_000, "time")


def test_another_event_puts_the_leave_off_without_a_write(shop: Project) -> None:
    persona(shop, "keen", viewed(1, "PT1H"))
    now = now_ms()
    put(shop, track(userId="alice", messageId="1"), received_at=now - 1_000)
    settle()
    put(shop, track(userId="alice", messageId="2"), received_at=now - 500)
    settle()
    assert Membership.objects.get(project=shop).recheck_at == now - 1_000 + 3_600_000
    assert len(log(shop)) == 1


def test_a_new_profile_is_judged_by_every_persona(shop: Project) -> None:
    persona(shop, "quiet", never("checkout_completed"))
    persona(shop, "keen", viewed(1))
    put(shop, track("signed_up", userId="alice"), received_at=now_ms())
    settle()
    assert log(shop) == [("alice", "enter", "quiet", "event")]


def test_traits_let_enter_and_leave(shop: Project) -> None:
    persona(shop, "pro", trait("plan", "pro"))
    apply_events(shop, identify("alice", {"plan": "free"}))
    settle()
    apply_events(shop, identify("alice", {"plan": "pro"}, timestamp="2026-06-01T00:00:00Z"), received_at=now_ms())
    settle()
    apply_events(shop, identify("alice", {"plan": None}), received_at=now_ms())
    settle()
    assert log(shop) == [("alice", "enter", "pro", "trait"), ("alice", "leave", "pro", "trait")]


def test_where_looks_at_properties(shop: Project) -> None:
    persona(shop, "pricing", viewed(2, path="/pricing"))
    put(shop, *(track(userId="alice", properties={"path": path}) for path in ("/", "/pricing")), received_at=now_ms())
    settle()
    assert members(shop, "pricing") == set()
    put(shop, track(userId="alice", properties={"path": "/pricing"}), received_at=now_ms())
    settle()
    assert members(shop, "pricing") == {"alice"}


def test_a_merge_moves_what_happened_and_the_loser_leaves(shop: Project) -> None:
    persona(shop, "keen", viewed(2))
    persona(shop, "seen", viewed(1))
    put(shop, track(anonymousId="a-1", messageId="1"), received_at=now_ms())
    put(shop, track(userId="alice", messageId="2"), received_at=now_ms())
    settle()
    assert members(shop, "seen") == {"a-1", "alice"}
    put(shop, identify("alice", {}, anonymousId="a-1"), received_at=now_ms())
    settle()
    assert members(shop, "keen") == {"alice", "a-1"}  # one profile with two ids
    assert {row[1:] for row in log(shop)[2:]} == {("leave", "seen", "merge"), ("enter", "keen", "merge")}
    assert Membership.objects.filter(project=shop, is_member=True).values("profile_id").distinct().count() == 1


def test_an_alias_merges_two_users(shop: Project) -> None:
    persona(shop, "keen", viewed(2))
    put(shop, track(userId="alice", messageId="1"), track(userId="al", messageId="2"), received_at=now_ms())
    settle()
    put(shop, alias("al", "alice"), received_at=now_ms())
    settle()
    assert members(shop, "keen") == {"alice", "al"}


def test_identified_only_lets_nobody_in_before_the_user_id(shop: Project) -> None:
    persona(shop, "known", viewed(1), identified_only=True)
    put(shop, track(anonymousId="a-1"), received_at=now_ms())
    settle()
    assert log(shop) == []
    put(shop, track("signed_up", userId="alice", anonymousId="a-1"), received_at=now_ms())
    settle()
    assert members(shop, "known") == {"alice", "a-1"}


def test_projects_are_strangers(shop: Project, other_project: Project) -> None:
    persona(shop, "keen", viewed(2))
    persona(other_project, "keen", viewed(2))
    put(shop, track(userId="alice", messageId="1"), received_at=now_ms())
    put(other_project, track(userId="alice", messageId="2"), received_at=now_ms())
    settle()
    assert log(shop) == log(other_project) == []
    put(other_project, track(userId="alice", messageId="3"), received_at=now_ms())
    settle()
    assert log(shop) == []
    assert log(other_project) == [("alice", "enter", "keen", "event")]
    assert_log_is_state(other_project)


def test_what_fails_half_way_is_there_again(shop: Project) -> None:
    persona(shop, "keen", viewed(1))
    put(shop, track(userId="alice"), received_at=now_ms())
    apply_all()
    head = Head.objects.get(project=shop)
    Head.objects.filter(project=shop).delete()
    with pytest.raises(LookupError, match="has no head row"):
        evaluator.evaluate_some()
    assert StaleProfiles.objects.filter(project=shop).count() == 1
    assert not Membership.objects.filter(project=shop).exists()
    Head.objects.create(project=shop, last_seq=head.last_seq, rules_version=head.rules_version)
    settle()
    assert members(shop, "keen") == {"alice"}


def test_the_statements_do_not_grow_with_the_profiles(shop: Project, tmp_path: Path) -> None:
    persona(shop, "keen", everyone_of(viewed(1), never("checkout_completed")))
    counts = []
    for turn, people in enumerate((1, 2, 50)):
        users = [track(userId=f"{turn}-{number}") for number in range(people)]
        put(shop, *users, received_at=now_ms())
        apply_all()
        with statements(tmp_path) as sent:
            assert evaluator.evaluate_some() == people
        counts.append(len(sent))
    assert counts[1] == counts[2] <= 20


def test_a_rule_that_fails_on_somebody_stops_only_its_own_persona(shop: Project) -> None:
    broken, _ = persona(shop, "broken", viewed(1)), persona(shop, "seen", viewed(1))
    put(shop, track(userId="alice"), received_at=now_ms())
    settle()
    with cursors.raw_cursor() as cursor:
        defined = definitions.of_project(cursor, shop.pk)

    def fails(facts: Facts, now: int) -> int:
        raise ZeroDivisionError

    sound = defined.personas[broken.pk]
    compiled = msgspec.structs.replace(sound.compiled, value=fails)
    defined.personas[broken.pk] = msgspec.structs.replace(sound, compiled=compiled)  # a fault, planted
    put(shop, track(userId="bob"), received_at=now_ms())
    settle()
    broken.refresh_from_db()
    assert broken.status == Persona.Status.ERROR
    assert (members(shop, "seen"), members(shop, "broken")) == ({"alice", "bob"}, {"alice"})
    update_persona(persona=broken, changes={"status": "live"}, actor="alice")
    settle()
    assert members(shop, "broken") == {"alice", "bob"}


def test_where_nobody_judges_nothing_is_left_lying_and_the_first_persona_finds_everybody(shop: Project) -> None:
    put(shop, track(userId="alice"), track(userId="bob"), received_at=now_ms())
    settle()
    put(shop, track(userId="bob"), received_at=now_ms())
    apply_all()
    assert not StaleProfiles.objects.filter(project=shop).exists()
    persona(shop, "keen", viewed(1))
    assert members(shop, "keen") == {"alice", "bob"}
    put(shop, track(userId="charlie"), received_at=now_ms())
    settle()
    assert members(shop, "keen") == {"alice", "bob", "charlie"}


@pytest.mark.django_db(transaction=True)
def test_the_first_persona_waits_for_the_turn_that_leaves_no_marks(shop: Project) -> None:
    put(shop, track(userId="alice"), received_at=now_ms())
    settle()
    put(shop, track(userId="bob"), received_at=now_ms())

    def first_persona() -> None:
        try:
            create_persona(
                project=shop, slug="keen", name="Keen", rule={"v": 1, "rule": viewed(1)}, actor="alice", status="live"
            )
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert tasks.apply_some() == 1
            made = pool.submit(first_persona)
            until(_somebody_waits, "the persona at the lane")
        made.result(30)
    settle()
    assert members(shop, "keen") == {"alice", "bob"}


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select exists (select from pg_locks where not granted)")
        return bool(cursor.fetchone()[0])
