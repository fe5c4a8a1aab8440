"""Links in, people out: the same people in whatever order the links come, in one turn or in many."""

from itertools import permutations

import pytest

from ingestion.applying import stale
from ingestion.models import Profile
from keys.models import Project
from tests.ingestion.applying import (
    RECEIVED,
    Json,
    alias,
    apply_all,
    apply_events,
    dead_letters,
    fate,
    identify,
    marks,
    people,
    profile_of,
    put,
    stored,
    track,
)

pytestmark = pytest.mark.django_db


def seen(anonymous: str = "", user: str = "") -> Json:
    return track("seen", **({"anonymousId": anonymous} if anonymous else {}), **({"userId": user} if user else {}))


# name: (links, people as sets of external ids). Every order of the links gives these people.
ORDERLESS: dict[str, tuple[list[Json], list[set[str]]]] = {
    "a user": ([seen(user="u")], [{"user:u"}]),
    "a visitor": ([seen("a")], [{"anon:a"}]),
    "the same text as user and as visitor": ([seen("x"), seen(user="x")], [{"anon:x"}, {"user:x"}]),
    "a visitor who signs in": ([seen("a"), seen("a", "u"), seen(user="u")], [{"anon:a", "user:u"}]),
    "a user with two devices": (
        [seen("a"), seen("b"), seen("a", "u"), seen("b", "u")],
        [{"anon:a", "anon:b", "user:u"}],
    ),
    "two users, a device each": (
        [seen("a", "u"), seen("b", "v"), seen("a"), seen(user="v")],
        [{"anon:a", "user:u"}, {"anon:b", "user:v"}],
    ),
    "identify links too": (
        [seen("a"), identify("u", {"plan": "pro"}, anonymousId="a"), seen(user="u")],
        [{"anon:a", "user:u"}],
    ),
    "alias of a user": ([seen(user="u"), seen(user="v"), alias("u", "v")], [{"user:u", "user:v"}]),
    "alias of users with devices": (
        [seen("a", "u"), seen("b", "v"), alias("u", "v")],
        [{"anon:a", "anon:b", "user:u", "user:v"}],
    ),
    "a chain of aliases": (
        [alias("u", "v"), alias("v", "w"), seen(user="u"), seen(user="w")],
        [{"user:u", "user:v", "user:w"}],
    ),
    "a cycle of aliases": (
        [seen(user="u"), seen(user="v"), alias("u", "v"), alias("v", "u")],
        [{"user:u", "user:v"}],
    ),
    "alias to itself": ([seen(user="u"), alias("u", "u")], [{"user:u"}]),
    "two into one": (
        [seen(user="u"), seen(user="v"), alias("u", "w"), alias("v", "w")],
        [{"user:u", "user:v", "user:w"}],
    ),
}

# An alias whose old id nobody has seen holds it as a visitor's too.
HELD = {"anon:u", "anon:v", "anon:w"}


def apply_in_order(project: Project, links: list[Json], *, one_turn: bool) -> None:
    for link in links:
        put(project, link)
        if not one_turn:
            apply_all()
    apply_all()


@pytest.mark.parametrize("one_turn", [True, False], ids=["one turn", "a turn each"])
@pytest.mark.parametrize("name", ORDERLESS)
def test_every_order_of_the_links_gives_the_same_people(name: str, one_turn: bool) -> None:
    links, expected = ORDERLESS[name]
    for number, order in enumerate(permutations(links)):
        project = Project.objects.create(slug=f"p{number}", name="P")
        apply_in_order(project, list(order), one_turn=one_turn)
        groups = people(project)
        assert {group - HELD for group in groups} == set(map(frozenset, expected)), order
        events = stored(project)
        assert len(events) == len([link for link in links if link["type"] != "alias"])
        assert dead_letters(project) == []
        survivors = dict(Profile.objects.filter(project=project).values_list("id", "merged_into"))
        alive = {profile for profile, into in survivors.items() if into is None}
        assert {into for into in survivors.values() if into is not None} <= alive
        assert {profile for _, _, profile, _ in events} <= alive
        assert len(alive) == len(groups)


@pytest.mark.parametrize("one_turn", [True, False], ids=["one turn", "a turn each"])
def test_a_visitor_who_belongs_to_a_user_is_never_merged_with_another(project: Project, one_turn: bool) -> None:
    """Two people at one device: the device stays with the first, the event goes to its user."""
    links = [seen("a", "u"), track("bought", anonymousId="a", userId="v"), seen("a")]
    apply_in_order(project, links, one_turn=one_turn)
    assert people(project) == {frozenset({"anon:a", "user:u"}), frozenset({"user:v"})}
    of = {name: profile for name, _, profile, _ in stored(project)}
    assert of["bought"] == profile_of(project, "user", "v").id
    assert of["seen"] == profile_of(project, "user", "u").id


def test_an_alias_does_not_take_a_visitor_away_from_another_user(project: Project) -> None:
    apply_events(project, seen("a", "u"))
    batch = apply_events(project, alias("a", "v"), seen(user="v"))
    assert people(project) == {frozenset({"anon:a", "user:u"}), frozenset({"user:v"})}
    assert fate(project, batch) == (1, 0, 1)
    assert dead_letters(project) == [(0, "alias.taken")]


def test_an_alias_of_a_visitor(project: Project) -> None:
    apply_events(project, seen("a"))
    before = profile_of(project, "anon", "a")
    batch = apply_events(project, alias("a", "u"))
    assert people(project) == {frozenset({"anon:a", "user:u"})}
    after = profile_of(project, "user", "u")
    assert (after.id, after.public_id, after.identified) == (before.id, before.public_id, True)
    assert marks(project)[after.id].what == stale.TRAITS
    assert fate(project, batch) == (1, 0, 0)
    assert len(stored(project)) == 1  # an alias is followed, and no event


@pytest.mark.parametrize("later", [seen("old"), seen(user="old")], ids=["a visitor", "a user"])
def test_an_alias_of_somebody_nobody_has_seen_waits_for_either(project: Project, later: Json) -> None:
    apply_events(project, alias("old", "new"))
    profile = profile_of(project, "user", "new")
    assert (profile.identified, marks(project)[profile.id].what) == (True, stale.NEW)
    apply_events(project, later)
    assert [of for _, _, of, _ in stored(project)] == [profile.id]


def test_the_survivor_is_the_one_with_a_user_id(project: Project) -> None:
    apply_events(project, seen("a"), received_at=RECEIVED - 10)
    apply_events(project, seen(user="u"))
    visitor, user = profile_of(project, "anon", "a"), profile_of(project, "user", "u")
    apply_events(project, seen("a", "u"))
    visitor.refresh_from_db()
    user.refresh_from_db()
    assert (visitor.merged_into, user.merged_into) == (user.id, None)
    assert user.first_seen == RECEIVED - 10
    assert len(stored(project)) == 3
    found = marks(project)
    assert found[visitor.id].what == stale.MERGED
    assert (found[user.id].what, found[user.id].uid != "") == (stale.MERGED, True)


def test_of_two_users_the_new_id_survives_and_earlier_losers_follow(project: Project) -> None:
    apply_events(project, *(seen(user=user) for user in ("u", "v", "w")))
    first, second, third = (profile_of(project, "user", user) for user in ("u", "v", "w"))
    apply_events(project, alias("u", "v"))
    apply_events(project, alias("v", "w"))
    assert dict(Profile.objects.filter(project=project).values_list("id", "merged_into")) == {
        first.id: third.id,
        second.id: third.id,
        third.id: None,
    }
    assert {of for _, _, of, _ in stored(project)} == {third.id}
    mark = marks(project)[third.id]
    assert (mark.what, mark.names, mark.uid) == (stale.MERGED, (), "")


def test_a_new_profile_that_takes_a_stored_one_in_is_marked_as_merged(project: Project) -> None:
    apply_events(project, seen("a"))
    visitor = profile_of(project, "anon", "a")
    apply_events(project, seen(user="u"), seen("a", "u"))
    user = profile_of(project, "user", "u")
    found = marks(project)
    assert (found[visitor.id].what, found[user.id].what) == (stale.MERGED, stale.MERGED)
    assert {of for _, _, of, _ in stored(project)} == {user.id}


def test_who_signs_in_is_marked_although_no_trait_changed(project: Project) -> None:
    apply_events(project, seen("a"))
    apply_events(project, seen("a", "u"))
    profile = profile_of(project, "user", "u")
    assert profile.identified
    assert marks(project)[profile.id].what == stale.TRAITS


def test_a_known_profile_is_marked_with_its_event_alone(project: Project) -> None:
    apply_events(project, seen(user="u"))
    apply_events(project, seen(user="u"), seen("a", "u"))
    mark = marks(project)[profile_of(project, "user", "u").id]
    assert (mark.what, mark.names) == (0, (1,))


def test_a_long_chain_of_aliases_in_one_turn(project: Project) -> None:
    apply_events(project, *(seen(user=f"u{number}") for number in range(200)))
    apply_events(project, *(alias(f"u{number}", f"u{number + 1}") for number in range(199)))
    assert people(project) == {frozenset(f"user:u{number}" for number in range(200))}
    (alive,) = Profile.objects.filter(project=project, merged_into=None)
    assert set(Profile.objects.filter(project=project).values_list("merged_into", flat=True)) == {None, alive.id}
    assert {of for _, _, of, _ in stored(project)} == {alive.id}


def test_an_alias_of_an_unseen_id_to_itself_harms_nobody(project: Project) -> None:
    batch = apply_events(project, seen(user="v"), alias("u", "u"), seen("u"))
    assert fate(project, batch) == (3, 0, 0)
    assert people(project) == {frozenset({"user:v"}), frozenset({"user:u", "anon:u"})}
