"""Traits: the later write wins, key by key, in whatever order the writes arrive."""

from itertools import permutations

import pytest

from ingestion.applying import stale, traits
from ingestion.events import TRAITS_BYTES
from ingestion.models import Profile
from keys.models import Project
from tests.ingestion.applying import (
    Json,
    alias,
    apply_all,
    apply_events,
    dead_letters,
    fate,
    identify,
    marks,
    profile_of,
    put,
    stored,
    track,
)

JANUARY, FEBRUARY, MARCH = (f"2023-0{month}-01T00:00:00Z" for month in (1, 2, 3))

# name: (writes as (instant, traits), the traits in the end)
CASES: dict[str, tuple[list[tuple[str, Json]], Json]] = {
    "one": ([(JANUARY, {"plan": "pro", "n": 1})], {"plan": "pro", "n": 1}),
    "the later wins": ([(JANUARY, {"plan": "free"}), (MARCH, {"plan": "pro"})], {"plan": "pro"}),
    "key by key": (
        [(JANUARY, {"a": 1, "b": 1}), (FEBRUARY, {"b": 2, "c": 2}), (MARCH, {"c": 3})],
        {"a": 1, "b": 2, "c": 3},
    ),
    "an object is one value": ([(JANUARY, {"a": {"x": 1, "y": 1}}), (MARCH, {"a": {"x": 2}})], {"a": {"x": 2}}),
    "null removes": ([(JANUARY, {"a": 1, "b": 1}), (FEBRUARY, {"a": None})], {"b": 1}),
    "what was removed may come back": (
        [(JANUARY, {"a": 1}), (FEBRUARY, {"a": None}), (MARCH, {"a": 3})],
        {"a": 3},
    ),
    "null before anything": ([(JANUARY, {"a": None}), (FEBRUARY, {"b": 1})], {"b": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_every_order_of_the_writes_gives_the_same_state(name: str) -> None:
    writes, expected = CASES[name]
    for order in permutations(enumerate(writes)):
        state: traits.State = {}
        for place, (_, changes) in order:
            state = traits.written(state, changes, (place, f"{place:032x}"))
        assert traits.values(state) == expected
        assert traits.loaded(traits.values(state), traits.times(state)) == state


def test_of_two_writes_at_one_instant_the_greater_uid_wins() -> None:
    one, other = {"a": traits.Written((5, "aa"), 1)}, {"a": traits.Written((5, "ab"), 2)}
    assert traits.united(one, other) == traits.united(other, one) == other


@pytest.mark.django_db
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("one_turn", [True, False], ids=["one turn", "a turn each"])
def test_traits_that_arrive_out_of_order(name: str, one_turn: bool) -> None:
    writes, expected = CASES[name]
    for number, order in enumerate(permutations(writes)):
        project = Project.objects.create(slug=f"p{number}", name="P")
        for instant, changes in order:
            put(project, identify("u", changes, timestamp=instant))
            if not one_turn:
                apply_all()
        apply_all()
        assert profile_of(project, "user", "u").traits == expected, order
        assert {name for name, *_ in stored(project)} == {"identify"}


@pytest.mark.django_db
@pytest.mark.parametrize("one_turn", [True, False], ids=["one turn", "a turn each"])
def test_a_merge_unites_traits_by_the_time_they_were_written(one_turn: bool) -> None:
    links = [
        identify("u", {"plan": "free", "city": "Rome", "age": 1}, timestamp=JANUARY),
        identify("v", {"plan": "pro", "age": None}, timestamp=FEBRUARY),
        identify("u", {"city": "Oslo"}, timestamp=MARCH),
        alias("u", "v"),
    ]
    for number, order in enumerate(permutations(links)):
        project = Project.objects.create(slug=f"p{number}", name="P")
        for link in order:
            put(project, link)
            if not one_turn:
                apply_all()
        apply_all()
        assert profile_of(project, "user", "v").traits == {"plan": "pro", "city": "Oslo"}, order
        losers = Profile.objects.filter(project=project, merged_into__isnull=False)
        assert all((loser.traits, loser.trait_ts) == ({}, {}) for loser in losers)


@pytest.mark.django_db
def test_only_traits_that_change_are_marked(project: Project) -> None:
    apply_events(project, identify("u", {"plan": "pro"}, timestamp=FEBRUARY))
    profile = profile_of(project, "user", "u")
    assert marks(project)[profile.id].what == stale.NEW | stale.TRAITS
    apply_events(project, identify("u", {"plan": "pro"}, timestamp=MARCH))
    assert marks(project)[profile.id].what == 0
    apply_events(project, identify("u", {"plan": "free"}, timestamp=JANUARY))
    assert marks(project)[profile.id].what == 0
    apply_events(project, identify("u", {"plan": None}))
    assert marks(project)[profile.id].what == stale.TRAITS


@pytest.mark.django_db
def test_a_visitor_has_traits_too_and_other_events_set_none(project: Project) -> None:
    visitor = {"type": "identify", "anonymousId": "a", "traits": {"plan": "pro"}}
    apply_events(project, visitor, track("x", anonymousId="a", properties={"plan": "free"}))
    assert profile_of(project, "anon", "a").traits == {"plan": "pro"}


@pytest.mark.django_db
def test_traits_beyond_the_limit_are_dead_letters_and_change_nothing(project: Project) -> None:
    half = "x" * (TRAITS_BYTES // 2)
    fits, too_much = identify("u", {"a": half}, timestamp=JANUARY), identify("u", {"b": half, "c": half[:100]})
    assert fate(project, apply_events(project, fits)) == (1, 0, 0)
    batch = apply_events(project, identify("u", {"d": 1}), too_much, identify("u", {"e": 1}))
    assert fate(project, batch) == (2, 0, 1)
    assert dead_letters(project) == [(1, "profile.traits_too_large")]
    assert profile_of(project, "user", "u").traits == {"a": half, "d": 1, "e": 1}
    assert fate(project, apply_events(project, identify("u", {"a": None}), too_much)) == (2, 0, 0)


@pytest.mark.django_db
def test_one_write_beyond_the_limit_makes_no_profile(project: Project) -> None:
    assert fate(project, apply_events(project, identify("u", {"a": "x" * TRAITS_BYTES}))) == (0, 0, 1)
    assert not Profile.objects.exists()


def test_removed_keys_count_towards_the_limit() -> None:
    sheet = traits.Sheet({}, before={})
    nulls: Json = {f"key{number}": None for number in range(1_000)}
    taken = [sheet.write({f"{n}{key}": None for key in nulls}, (n, ""), 20_000) for n in range(5)]
    assert taken == [True, True, True, True, False]
    assert traits.size(sheet.state) <= TRAITS_BYTES
