"""One profile, one persona: from the stored membership and the value of the rule to log rows and the next instant."""

from collections.abc import Callable

import pytest

from ingestion.applying import stale
from ingestion.applying.stale import Mark
from segments.judge import DEFINITION, EVENT, MERGE, TIME, TRAIT, Current, Verdict, judge
from segments.rules import INF

UID = "00112233445566778899aabbccddeeff"
OUT = Current(is_member=False, since=0, revision=1, recheck_at=None)


def member(since: int, recheck_at: int | None, revision: int = 1) -> Current:
    return Current(is_member=True, since=since, revision=revision, recheck_at=recheck_at)


def mark(received_at: int, *, what: int = 0, ts: int | None = None) -> Mark:
    return Mark(
        profile=7, what=what, names=(1,), received_at=received_at, ts=received_at if ts is None else ts, uid=UID
    )


def spans(*members: tuple[int, int]) -> Callable[[int], int]:
    """The value of somebody who is a member exactly in these half-open spans."""

    def value(now: int) -> int:
        for start, end in members:
            if now < start:
                return -start
            if now < end:
                return end
        return -INF

    return value


def said(verdict: Verdict) -> list[tuple[str, int, str]]:
    return [("enter" if flip.enters else "leave", flip.at, flip.cause) for flip in verdict.flips]


def test_an_event_lets_enter_at_the_instant_it_was_received() -> None:
    verdict = judge(spans((90, 190)), now=100, revision=1, current=None, mark=mark(98, ts=90))
    assert said(verdict) == [("enter", 98, EVENT)]
    assert verdict.flips[0].trigger == bytes.fromhex(UID)
    assert verdict.flips[0].late_ms == 8
    assert (verdict.is_member, verdict.since, verdict.recheck_at, verdict.write) == (True, 98, 190, True)


def test_a_timer_leaves_at_the_exact_instant_however_late_the_worker() -> None:
    verdict = judge(spans((0, 190)), now=5_000, revision=1, current=member(10, 190))
    assert said(verdict) == [("leave", 190, TIME)]
    assert (verdict.is_member, verdict.since, verdict.recheck_at) == (False, 190, None)


def test_catching_up_steps_through_every_instant_that_was_missed() -> None:
    verdict = judge(spans((0, 190), (300, 400), (500, INF)), now=1_000, revision=1, current=member(10, 190))
    assert said(verdict) == [("leave", 190, TIME), ("enter", 300, TIME), ("leave", 400, TIME), ("enter", 500, TIME)]
    assert (verdict.is_member, verdict.recheck_at) == (True, None)


def test_an_instant_that_moved_later_is_left_alone_until_it_fires() -> None:
    assert not judge(spans((0, 290)), now=100, revision=1, current=member(10, 190), mark=mark(100)).write
    fired = judge(spans((0, 290)), now=190, revision=1, current=member(10, 190))
    assert (said(fired), fired.recheck_at, fired.write) == ([], 290, True)


def test_an_instant_that_moved_earlier_is_stored() -> None:
    verdict = judge(spans((0, 150)), now=100, revision=1, current=member(10, 190), mark=mark(100))
    assert (said(verdict), verdict.recheck_at, verdict.write) == ([], 150, True)


def test_who_never_was_in_and_cannot_enter_by_time_needs_no_row() -> None:
    assert not judge(spans(), now=100, revision=1, current=None, mark=mark(100)).write
    assert judge(spans((200, 300)), now=100, revision=1, current=None, mark=mark(100)).recheck_at == 200


@pytest.mark.parametrize(
    ("what", "on_traits", "cause"),
    [(0, False, EVENT), (stale.TRAITS, True, TRAIT), (stale.TRAITS, False, EVENT), (stale.MERGED, False, MERGE)],
)
def test_the_cause_says_what_made_the_change(what: int, on_traits: bool, cause: str) -> None:
    verdict = judge(spans((0, INF)), now=100, revision=1, current=OUT, mark=mark(100, what=what), on_traits=on_traits)
    assert said(verdict) == [("enter", 100, cause)]


def test_without_a_mark_and_a_timer_it_is_the_definition() -> None:
    assert said(judge(spans((0, INF)), now=100, revision=1, current=None)) == [("enter", 100, DEFINITION)]


def test_a_new_version_is_judged_as_of_now_and_noted_even_if_nothing_moves() -> None:
    left = judge(spans(), now=100, revision=2, current=member(10, 50))
    assert said(left) == [("leave", 100, DEFINITION)]
    stayed = judge(spans((0, INF)), now=100, revision=2, current=member(10, None))
    assert (said(stayed), stayed.write) == ([], True)


def test_a_merge_is_judged_as_of_now() -> None:
    verdict = judge(spans((0, 60)), now=100, revision=1, current=member(10, 50), mark=mark(95, what=stale.MERGED))
    assert said(verdict) == [("leave", 95, MERGE)]


def test_at_of_a_pair_never_decreases() -> None:
    verdict = judge(spans(), now=200, revision=1, current=member(150, None), mark=mark(120))
    assert said(verdict) == [("leave", 150, EVENT)]


def test_an_event_met_while_catching_up_is_named() -> None:
    uid = bytes.fromhex(UID)
    verdict = judge(
        spans((0, 190), (300, 900)),
        now=500,
        revision=1,
        current=member(10, 190),
        mark=mark(310, ts=300),
        event_at=lambda instant: uid if instant == 300 else None,
    )
    assert said(verdict) == [("leave", 190, TIME), ("enter", 300, EVENT)]
    assert verdict.flips[1].trigger == uid


def test_a_value_that_does_not_reach_beyond_its_instant_is_an_error_not_a_loop() -> None:
    with pytest.raises(AssertionError, match="does not reach beyond"):
        judge(lambda now: now, now=100, revision=1, current=None)
