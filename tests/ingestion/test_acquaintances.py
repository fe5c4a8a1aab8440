"""What a writer remembers of people is what the database says, whoever else writes."""

import random
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from ingestion import erasing
from ingestion.applying import acquaintances
from ingestion.applying.cursors import bulk_transaction
from ingestion.models import Event, EventName, Profile, WriterLane
from keys.models import Project
from tests.ingestion.applying import (
    RECEIVED,
    Json,
    alias,
    apply_events,
    identify,
    people,
    profile_of,
    statements,
    track,
)

pytestmark = pytest.mark.django_db(transaction=True)  # memory begins with the commit

TURNS = 40


@pytest.fixture(autouse=True)
def nobody_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquaintances, "_memories", {})


def asked(found: list[str]) -> bool:
    """Whether the database was asked whose an id is."""
    return any('"external_id":"' in line for line in found)


def test_who_came_once_is_not_asked_for_again(project: Project, tmp_path: Path) -> None:
    with statements(tmp_path) as first:
        apply_events(project, track(userId="alice", anonymousId="a"))
    with statements(tmp_path) as second:
        apply_events(project, track(userId="alice", anonymousId="a", messageId="2"))
    assert (asked(first), asked(second)) == (True, False)
    assert Event.objects.filter(project=project, profile_id=profile_of(project, "user", "alice").pk).count() == 2


def test_what_was_learned_over_a_lost_connection_is_asked_for_again(project: Project) -> None:
    apply_events(project, track(userId="alice"))
    connection.close()
    connection.ensure_connection()
    Profile.objects.filter(project=project).update(shard=7)  # as if the server had not kept what it said
    apply_events(project, track(userId="alice", messageId="2"))
    memory = acquaintances._memories[project.pk]
    assert [known.shard for known in memory.by_id.values()] == [7]


def test_what_a_turn_that_fails_made_of_people_is_forgotten(project: Project) -> None:
    apply_events(project, track(userId="alice"))
    turn = (track(userId="alice", anonymousId="a", messageId="2"), track(userId="bob", messageId="3"))
    with transaction.atomic():
        apply_events(project, *turn)
        transaction.set_rollback(True)
    apply_events(project, *turn)
    assert profile_of(project, "anon", "a").pk == profile_of(project, "user", "alice").pk
    assert Event.objects.filter(project=project, profile_id=profile_of(project, "user", "bob").pk).count() == 1


def test_the_erased_are_forgotten(project: Project) -> None:
    apply_events(project, track(userId="alice"))
    before = profile_of(project, "user", "alice").pk
    with bulk_transaction() as cursor:
        erasing.lock_writer(cursor, project.pk)
        erasing.delete(cursor, project.pk, erasing.found(cursor, project.pk, before))
    apply_events(project, track(userId="alice", messageId="2"))
    assert profile_of(project, "user", "alice").pk != before


def test_memory_is_bounded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquaintances, "MOST_IDS", 3)
    for n in range(12):
        apply_events(project, track(userId=f"u{n}"))
    assert sum(map(len, acquaintances._memories.values())) <= 3


def link(dice: random.Random, number: int) -> Json:
    """Something that ties a few ids together."""
    user, visitor = f"u{dice.randrange(5)}", f"a{dice.randrange(6)}"
    ts = f"2023-01-01T00:{dice.randrange(60):02d}:00.000Z"
    more: Json = {"messageId": f"m{number}", "timestamp": ts}
    return dice.choice((
        track(userId=user, anonymousId=visitor, **more),
        track(anonymousId=visitor, **more),
        track(userId=user, **more),
        identify(user, {"n": number}, anonymousId=visitor, **more),
        alias(dice.choice((visitor, f"u{dice.randrange(5)}")), user, **more),
    ))  # fmt: skip


def everything(project: Project) -> Any:
    """Who is who, when they were seen, their traits, and whose each event is: without numbers."""
    of = {frozenset(group): profile_of(project, *next(iter(group)).split(":", 1)) for group in people(project)}
    shown = {group: (p.identified, p.first_seen, p.last_seen, p.traits) for group, p in of.items()}
    owners = {p.pk: group for group, p in of.items()}
    names = dict(EventName.objects.filter(project=project).values_list("id", "name"))
    events = Event.objects.filter(project=project).values_list("uid", "profile_id", "name_id")
    return shown, {(bytes(uid), owners.get(profile or 0), names[name]) for uid, profile, name in events}


@pytest.mark.parametrize("seed", range(3))
def test_two_processes_that_take_turns_find_what_one_without_memory_finds(
    seed: int, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    other = Project.objects.create(slug="other", name="Other")
    processes: list[dict[int, Any]] = [{}, {}]
    number = 0
    for turn in range(TURNS):
        events = [link(dice, number + n) for n in range(dice.randint(1, 3))]
        number += len(events)
        monkeypatch.setattr(acquaintances, "_memories", dice.choice(processes))
        apply_events(project, *events, received_at=RECEIVED + turn)
        monkeypatch.setattr(acquaintances, "_memories", {})
        apply_events(other, *events, received_at=RECEIVED + turn)
    assert all(processes), "both took part"
    assert WriterLane.objects.get(project=project).people_version > 0
    assert everything(project) == everything(other)
