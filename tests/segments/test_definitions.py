"""Saving, pausing and deleting personas: nobody stays in a rule that no longer holds, and the log says who moved."""

from typing import Any

import msgspec
import pytest

from ingestion.tasks import apply_some
from keys.models import AuditEntry, Project
from persona.lib.problems import Problem
from segments import backfill, cursors, definitions
from segments.evaluator import evaluate_some
from segments.models import Change, Membership, Persona, PersonaVersion
from segments.rules import Facts
from segments.services import create_persona, delete_persona, update_persona
from tests.ingestion.applying import put, track
from tests.segments.living import log, members, never, now_ms, persona, settle, viewed
from tests.segments.timing import Clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def crowd(shop: Project) -> Project:
    """Alice looked three times, Bob once, Charlie bought."""
    put(shop, *(track(userId="alice", messageId=f"a{number}") for number in range(3)), received_at=now_ms())
    put(shop, track(userId="bob"), track("checkout_completed", userId="charlie"), received_at=now_ms())
    settle()
    return shop


def changed(persona: Persona, **changes: Any) -> Persona:
    after = update_persona(persona=persona, changes=changes, actor="alice")
    settle()
    after.refresh_from_db()
    return after


def test_a_new_persona_judges_everybody_who_is_there(crowd: Project) -> None:
    keen = create_persona(project=crowd, slug="keen", name="Keen", rule={"v": 1, "rule": viewed(2)}, actor="alice")
    assert keen.status == Persona.Status.BACKFILLING
    settle()
    keen.refresh_from_db()
    assert (keen.status, keen.version) == (Persona.Status.LIVE, 1)
    assert log(crowd) == [("alice", "enter", "keen", "definition")]
    assert AuditEntry.objects.filter(project=crowd, action="persona.created", target="keen").count() == 1


def test_a_new_rule_is_a_new_version_and_moves_whom_it_moves(crowd: Project) -> None:
    keen = persona(crowd, "keen", viewed(2))
    keen = changed(keen, rule={"v": 1, "rule": never("page_viewed")})
    assert (keen.version, keen.status) == (2, Persona.Status.LIVE)
    assert members(crowd, "keen") == {"charlie"}
    assert [version.version for version in PersonaVersion.objects.filter(persona=keen).order_by("version")] == [1, 2]
    assert set(log(crowd)[1:]) == {("alice", "leave", "keen", "definition"), ("charlie", "enter", "keen", "definition")}


def test_saving_the_same_rule_again_is_no_new_version(crowd: Project) -> None:
    keen = persona(crowd, "keen", viewed(2))
    assert changed(keen, rule=keen.rule, name="Very keen").version == 1


def test_a_draft_has_no_members_until_it_goes_live(crowd: Project) -> None:
    keen = persona(crowd, "keen", viewed(2), status="draft")
    assert members(crowd, "keen") == set()
    assert changed(keen, status="live").status == Persona.Status.LIVE
    assert members(crowd, "keen") == {"alice"}
    changed(keen, status="draft")
    assert log(crowd)[1:] == [("alice", "leave", "keen", "definition")]


def test_a_paused_persona_keeps_its_members_and_judges_nothing(crowd: Project) -> None:
    keen = persona(crowd, "keen", viewed(2))
    changed(keen, status="paused")
    put(crowd, track(userId="bob", messageId="again"), received_at=now_ms())
    settle()
    assert members(crowd, "keen") == {"alice"}
    changed(keen, status="live")
    assert members(crowd, "keen") == {"alice", "bob"}
    assert log(crowd)[1:] == [("bob", "enter", "keen", "definition")]


def test_the_timer_of_a_paused_persona_waits_and_keeps_no_worker_busy(crowd: Project, clock: Clock) -> None:
    keen = persona(crowd, "keen", viewed(1, "PT1H", "signed_up"))
    put(crowd, track("signed_up", userId="dora"), received_at=now_ms() - 3_600_000 + 60_000)
    settle()
    changed(keen, status="paused")
    clock.pass_by(60_000)
    settle()  # ends although a timer is due
    assert members(crowd, "keen") == {"dora"}
    changed(keen, status="live")
    assert log(crowd)[-1] == ("dora", "leave", "keen", "definition")


def test_deleting_lets_everybody_leave_and_frees_the_slug(crowd: Project) -> None:
    keen = persona(crowd, "keen", viewed(1))
    delete_persona(persona=keen, actor="alice")
    again = create_persona(project=crowd, slug="keen", name="", rule={"v": 1, "rule": viewed(3)}, actor="alice")
    settle()
    assert again.pk != keen.pk
    assert not Membership.objects.filter(project=crowd, persona_id=keen.pk, is_member=True).exists()
    assert members(crowd, "keen") == {"alice"}


def test_a_slug_that_is_used_again_is_left_before_it_is_entered(crowd: Project) -> None:
    keen = persona(crowd, "keen", viewed(1))
    delete_persona(persona=keen, actor="alice")
    create_persona(project=crowd, slug="keen", name="", rule={"v": 1, "rule": viewed(1)}, actor="alice")
    settle()
    by_slug: dict[str, list[str]] = {}
    for who, op, _, _ in log(crowd):
        by_slug.setdefault(who, []).append(op)
    assert by_slug == {"alice": ["enter", "leave", "enter"], "bob": ["enter", "leave", "enter"]}


def test_a_rule_that_can_no_longer_be_read_stops_only_its_own_persona(crowd: Project) -> None:
    broken = persona(crowd, "broken", viewed(2))
    persona(crowd, "seen", viewed(1))
    Persona.objects.filter(pk=broken.pk).update(rule={"v": 1, "rule": {"op": "from another release"}})
    changed(Persona.objects.get(project=crowd, slug="seen"), rule={"v": 1, "rule": viewed(2)})
    put(crowd, track(userId="bob", messageId="again"), received_at=now_ms())
    settle()
    broken.refresh_from_db()
    assert broken.status == Persona.Status.ERROR
    assert (members(crowd, "seen"), members(crowd, "broken")) == ({"alice", "bob"}, {"alice"})
    assert changed(broken, rule={"v": 1, "rule": viewed(1)}, status="live").status == Persona.Status.LIVE
    assert members(crowd, "broken") == {"alice", "bob"}


def test_a_backfill_goes_page_by_page_and_can_be_cut_anywhere(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "PAGE", 10)
    users = [track(userId=f"user-{number}") for number in range(200)]
    put(shop, *users, received_at=now_ms())
    settle()
    create_persona(project=shop, slug="seen", name="", rule={"v": 1, "rule": viewed(1)}, actor="alice")
    pages = 0
    while backfill.backfill_some():
        pages += 1
        inside = Membership.objects.filter(project=shop, is_member=True).count()
        assert inside == len(log(shop))
    assert inside == len(users)
    assert pages >= len(users) // 10 > shop.shards


def test_personas_that_wait_at_the_same_place_share_their_pages(crowd: Project) -> None:
    for number in range(3):
        create_persona(project=crowd, slug=f"p{number}", name="", rule={"v": 1, "rule": viewed(1)}, actor="alice")
    pages = 0
    while backfill.backfill_some():
        pages += 1
    assert pages == crowd.shards
    assert [members(crowd, f"p{number}") for number in range(3)] == [{"alice", "bob"}] * 3


def test_a_rule_that_fails_in_a_backfill_stops_only_its_own_persona(crowd: Project) -> None:
    broken = persona(crowd, "broken", viewed(1))

    def fails(facts: Facts, now: int) -> int:
        raise ZeroDivisionError

    update_persona(persona=broken, changes={"rule": {"v": 1, "rule": viewed(2)}}, actor="alice")
    create_persona(project=crowd, slug="seen", name="", rule={"v": 1, "rule": viewed(1)}, actor="alice")
    with cursors.raw_cursor() as cursor:
        defined = definitions.of_project(cursor, crowd.pk)
    sound = defined.personas[broken.pk]
    compiled = msgspec.structs.replace(sound.compiled, value=fails)
    defined.personas[broken.pk] = msgspec.structs.replace(sound, compiled=compiled)  # a fault, planted
    settle()
    broken.refresh_from_db()
    assert broken.status == Persona.Status.ERROR
    assert members(crowd, "broken") == members(crowd, "seen") == {"alice", "bob"}


def test_live_events_go_on_while_a_backfill_waits(crowd: Project) -> None:
    create_persona(project=crowd, slug="keen", name="", rule={"v": 1, "rule": viewed(2)}, actor="alice")
    put(crowd, track(userId="bob", messageId="again"), received_at=now_ms())
    while apply_some() + evaluate_some():
        pass
    assert log(crowd) == [("bob", "enter", "keen", "event")]
    settle()
    assert log(crowd)[1:] == [("alice", "enter", "keen", "definition")]


def test_a_definition_does_not_wake_timers_of_the_old_one(crowd: Project, clock: Clock) -> None:
    keen = persona(crowd, "keen", viewed(1, "PT1H", "signed_up"))
    put(crowd, track("signed_up", userId="dora"), received_at=now_ms() - 3_600_000 + 60_000)
    settle()
    update_persona(persona=keen, changes={"rule": {"v": 1, "rule": viewed(1, "PT2H", "signed_up")}}, actor="alice")
    clock.pass_by(60_000)
    settle()
    assert members(crowd, "keen") == {"dora"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rule": {"v": 1, "rule": {"op": "all", "of": []}}}, "rule.invalid"),
        ({"rule": "no rule"}, "rule.invalid"),
        ({"status": "error"}, "persona.status_invalid"),
        ({"slug": "other"}, "persona.field_unknown"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(crowd: Project, changes: dict[str, Any], code: str) -> None:
    keen = persona(crowd, "keen", viewed(2))
    with pytest.raises(Problem) as refused:
        update_persona(persona=keen, changes=changes, actor="alice")
    assert (refused.value.status, refused.value.code) == (400, code)
    keen.refresh_from_db()
    assert (keen.version, keen.status) == (1, Persona.Status.LIVE)


@pytest.mark.parametrize(
    ("slug", "rule", "status", "code"),
    [
        ("Keen", {"v": 1, "rule": viewed(1)}, "live", "persona.slug_invalid"),
        ("preview", {"v": 1, "rule": viewed(1)}, "live", "persona.slug_invalid"),
        ("keen", {"v": 2, "rule": viewed(1)}, "live", "rule.invalid"),
        ("keen", {"v": 1, "rule": viewed(1, "P4000D")}, "live", "rule.invalid"),
        ("keen", {"v": 1, "rule": viewed(1)}, "paused", "persona.status_invalid"),
    ],
)
def test_what_cannot_be_is_not_created(shop: Project, slug: str, rule: Any, status: str, code: str) -> None:
    with pytest.raises(Problem) as refused:
        create_persona(project=shop, slug=slug, name="", rule=rule, actor="alice", status=status)
    assert refused.value.code == code
    assert not Persona.objects.filter(project=shop).exists()


def test_a_slug_is_taken_once(shop: Project) -> None:
    persona(shop, "keen", viewed(1))
    with pytest.raises(Problem) as refused:
        create_persona(project=shop, slug="keen", name="", rule={"v": 1, "rule": viewed(1)}, actor="alice")
    assert (refused.value.status, refused.value.code) == (409, "persona.slug_taken")


def member_of(slug: str) -> dict[str, str]:
    return {"op": "member", "persona": slug}


def test_a_persona_may_refer_to_another_and_follows_its_rule(crowd: Project) -> None:
    keen = persona(crowd, "keen", viewed(2))
    persona(crowd, "keener", {"op": "not", "of": member_of("keen")})
    persona(crowd, "keenest", {"op": "not", "of": member_of("keener")})
    assert (members(crowd, "keener"), members(crowd, "keenest")) == ({"bob", "charlie"}, {"alice"})
    changed(keen, rule={"v": 1, "rule": viewed(1)})
    assert (members(crowd, "keener"), members(crowd, "keenest")) == ({"charlie"}, {"alice", "bob"})
    put(crowd, track(userId="charlie"), received_at=now_ms())
    settle()
    assert (members(crowd, "keener"), members(crowd, "keenest")) == (set(), {"alice", "bob", "charlie"})


def test_who_is_referred_to_cannot_go(crowd: Project) -> None:
    keen = persona(crowd, "keen", viewed(2))
    persona(crowd, "keener", member_of("keen"))
    with pytest.raises(Problem) as refused:
        delete_persona(persona=keen, actor="alice")
    assert (refused.value.status, refused.value.code) == (409, "persona.in_use")
    assert refused.value.extra["dependants"] == ["keener"]
    with pytest.raises(Problem, match=r"persona\.in_use"):
        update_persona(persona=keen, changes={"status": "draft"}, actor="alice")
    changed(keen, status="paused")  # its rule still stands for the others
    put(crowd, track(userId="bob", messageId="again"), received_at=now_ms())
    settle()
    assert members(crowd, "keener") == {"alice", "bob"}


def test_personas_cannot_refer_to_each_other_in_a_circle(crowd: Project) -> None:
    keen = persona(crowd, "keen", viewed(2))
    persona(crowd, "keener", member_of("keen"))
    with pytest.raises(Problem, match=r"rule\.invalid"):
        update_persona(persona=keen, changes={"rule": {"v": 1, "rule": member_of("keener")}}, actor="alice")
    with pytest.raises(Problem, match=r"rule\.invalid"):
        persona(crowd, "lost", member_of("nobody"))


def test_silent_changes_are_logged_and_marked(crowd: Project) -> None:
    create_persona(project=crowd, slug="keen", name="", rule={"v": 1, "rule": viewed(2)}, actor="alice", silent=True)
    settle()
    put(crowd, track(userId="bob", messageId="again"), received_at=now_ms())
    settle()
    keen = Persona.objects.get(project=crowd, slug="keen")
    changed(keen, rule={"v": 1, "rule": viewed(3)})
    rows = Change.objects.filter(project=crowd).order_by("seq").values_list("op", "cause", "silent")
    assert list(rows) == [
        ("enter", "definition", True),
        ("enter", "event", False),
        ("leave", "definition", False),
    ]
