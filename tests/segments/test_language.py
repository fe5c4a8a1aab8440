"""Sequences, other personas' rules and any event at all, from the inbox to the log; and who is passed by."""

from typing import Any

import pytest

from ingestion.applying import stale
from ingestion.applying.stale import Mark
from ingestion.models import EventName
from keys.models import Project
from persona.lib.clock import rfc3339
from segments import cursors, definitions
from segments.insight import reading
from segments.models import Change, Membership
from tests.ingestion.applying import identify, put, track
from tests.segments.living import everyone_of, log, members, never, now_ms, persona, settle, viewed
from tests.segments.timing import Clock

pytestmark = pytest.mark.django_db
DAY = 86_400_000


def test_a_cart_is_abandoned_at_the_exact_instant(shop: Project, clock: Clock) -> None:
    abandoned = {
        "op": "sequence",
        "steps": [{"event": "cart_added"}],
        "within": "P1D",
        "same": ["cart"],
        "absent": {"event": "checkout_completed", "within": "PT1H"},
        "window": {"last": "P3D"},
    }
    persona(shop, "abandoner", abandoned)
    ts = now_ms() - 3_600_000 + 60_000
    put(shop, track("cart_added", userId="alice", properties={"cart": 1}), received_at=ts)
    put(shop, track("cart_added", userId="bob", properties={"cart": 1}), received_at=ts)
    put(shop, track("checkout_completed", userId="bob", properties={"cart": 1}), received_at=ts + 1)
    settle()
    assert log(shop) == []
    clock.pass_by(60_000)
    settle()
    assert log(shop) == [("alice", "enter", "abandoner", "time")]
    assert Change.objects.get(project=shop).at == ts + 3_600_000
    assert Membership.objects.get(project=shop, is_member=True).recheck_at == ts + 3 * DAY


def test_any_event_at_all_counts_also_the_first_of_a_profile(shop: Project) -> None:
    active = {"op": "since", "event": "*", "which": "last", "cmp": "lt", "value": "P1D"}
    old = {"op": "since", "event": "*", "which": "first", "cmp": "gte", "value": "P1D"}
    persona(shop, "active", active)
    persona(shop, "old", old)
    put(shop, track("never_seen_before", userId="alice"), received_at=now_ms())
    put(shop, track("seen_long_ago", userId="bob"), received_at=now_ms() - 2 * DAY)
    settle()
    assert (members(shop, "active"), members(shop, "old")) == ({"alice"}, {"bob"})
    put(shop, track("something_else", userId="bob"), received_at=now_ms())
    settle()
    assert members(shop, "active") == {"alice", "bob"}
    assert log(shop)[-1] == ("bob", "enter", "active", "event")


def test_the_rule_of_another_persona_is_judged_here_too_though_it_is_a_draft(shop: Project) -> None:
    persona(shop, "keen", viewed(2), status="draft", identified_only=True)
    persona(shop, "keen-not-bought", everyone_of({"op": "member", "persona": "keen"}, never("checkout_completed")))
    put(shop, *(track(anonymousId="a", messageId=f"m{n}") for n in range(2)), received_at=now_ms())
    settle()
    assert log(shop) == []
    put(shop, identify("alice", {}, anonymousId="a"), received_at=now_ms())
    settle()
    assert members(shop, "keen-not-bought") >= {"alice"}
    put(shop, track("checkout_completed", userId="alice"), received_at=now_ms())
    settle()
    assert [row[1:3] for row in log(shop)] == [("enter", "keen-not-bought"), ("leave", "keen-not-bought")]


def test_who_can_only_stay_where_they_are_is_not_judged(shop: Project) -> None:
    keen, quiet = persona(shop, "keen", viewed(2)), persona(shop, "quiet", never("page_viewed"))
    exact = persona(shop, "exact", {**viewed(2), "cmp": "eq"})
    put(shop, track(userId="alice"), received_at=now_ms())
    settle()
    with cursors.raw_cursor() as cursor:
        defined = definitions.of_project(cursor, shop.pk)
    name = EventName.objects.get(project=shop, name="page_viewed").id

    def moved(what: int, *names: int) -> Any:
        return defined.touched(Mark(1, what, names, 0, 0, ""))

    everybody = frozenset({keen.pk, quiet.pk, exact.pk})
    assert moved(0, name) == (frozenset({exact.pk}), frozenset({keen.pk}), frozenset({quiet.pk}), everybody)
    assert not any(moved(0, name + 1))
    assert moved(stale.NEW, name).always == everybody


def test_an_event_that_is_passed_by_puts_off_the_end_all_the_same(shop: Project, clock: Clock) -> None:
    persona(shop, "seen", viewed(1, "PT1H"))
    ts = now_ms() - 3_600_000 + 60_000
    put(shop, track(userId="alice"), received_at=ts)
    settle()
    put(shop, track(userId="alice"), received_at=ts + 200)
    settle()
    assert Membership.objects.get(project=shop).recheck_at == ts + 3_600_000, "too early, never too late"
    clock.pass_by(120_000)
    settle()
    assert [row[1] for row in log(shop)] == ["enter", "leave"]
    assert Change.objects.filter(project=shop).latest("seq").at == ts + 200 + 3_600_000


def test_when_the_oldest_of_many_leaves_the_next_one_is_the_oldest(shop: Project) -> None:
    old = persona(shop, "old", {"op": "since", "event": "page_viewed", "which": "first", "cmp": "gte", "value": "PT1H"})
    ts = now_ms() - 10 * DAY
    for start in range(0, 120, 60):  # more than one walk along the index reads
        events = [track(userId="alice", messageId=f"m{n}") for n in range(start, start + 60)]
        put(shop, *events, received_at=ts + start * 60_000)
    settle()
    (alice,), _ = reading.members(persona=old, after=0, limit=10)
    assert alice.leaves_at == rfc3339(ts + 60 * 60_000 + shop.retention)
