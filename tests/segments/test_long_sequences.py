"""Eight steps through the worker: as events come, late, as somebody else's, and with what must not come in between."""

import random
from typing import Any

import pytest

from ingestion.models import Event, EventName
from keys.models import Project
from tests.ingestion.applying import put, track
from tests.rules import oracle
from tests.segments.living import members, now_ms, persona, settle

pytestmark = pytest.mark.django_db

STEPS = ("a", "b", "a", "c", "b", "a", "c", "b")
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "same": {"same": ["cart"]},
    "strict": {"strict": True},
    "narrow": {"within": "PT3M"},
    "abandoned": {"absent": {"event": "c", "within": "PT2M"}},
    "all": {"same": ["cart"], "strict": True, "absent": {"event": "a", "within": "PT1M"}, "window": {"last": "PT2H"}},
}
MINUTE = 60_000


def sequence(kind: str) -> dict[str, Any]:
    steps = [{"event": name} for name in STEPS]
    return {"op": "sequence", "steps": steps, "within": "PT1H", "window": {"last": "P1D"}, **KINDS[kind]}


def truth(shop: Project, kind: str) -> bool:
    """By the plain definition, over all that is stored, whoever it came as."""
    names = dict(EventName.objects.filter(project=shop).values_list("id", "name"))
    events = [
        (names[one.name_id], one.ts, bytes(one.uid), one.props, one.context or {})
        for one in Event.objects.filter(project=shop)
    ]
    world = oracle.World(events, now=now_ms(), identified=True, retention=400 * 86_400_000)
    return oracle.member({"v": 1, "rule": sequence(kind)}, world)


def story(dice: random.Random, start: int) -> list[dict[str, Any]]:
    """The steps, mostly in order, a minute or half of one apart, in one cart or two; with noise between them."""
    names = list(STEPS)
    if dice.random() < 0.3:
        names.insert(dice.randrange(8), dice.choice("abc"))
    if dice.random() < 0.2:
        del names[dice.randrange(8)]
    at, events = start, []
    for place, name in enumerate(names):
        at += dice.choice((0, 15_000, 20_000, MINUTE))
        cart = 2 if dice.random() < 0.03 else 1
        who = {"anonymousId": "a-1"} if place < 4 else {"userId": "alice"}
        events.append({**track(name, properties={"cart": cart}), **who, "at": at, "messageId": f"{place}"})
    return events


@pytest.mark.parametrize("seed", range(12))
def test_eight_steps_of_a_visitor_who_becomes_somebody_in_between(seed: int, shop: Project) -> None:
    """Half of them as a visitor, half as a user; that they are one person is learned in the middle, or at the end."""
    dice = random.Random(seed)
    for kind in KINDS:
        persona(shop, kind, sequence(kind))
    events = story(dice, now_ms() - 30 * MINUTE)
    link = {**track("link"), "userId": "alice", "anonymousId": "a-1", "at": now_ms(), "messageId": "link"}
    dice.shuffle(events)
    events.insert(dice.randrange(4, len(events) + 1), link)
    half = dice.randrange(len(events) + 1)
    for part in (events[:half], events[half:]):
        for one in part:
            put(shop, {name: value for name, value in one.items() if name != "at"}, received_at=one["at"])
        settle()
    for kind in KINDS:
        assert (members(shop, kind) == {"alice", "a-1"}) is truth(shop, kind), (kind, events)


def test_of_the_stories_some_hold_and_some_do_not() -> None:
    """Else the test above would show nothing."""
    found: dict[str, set[bool]] = {kind: set() for kind in KINDS}
    for seed in range(12):
        start = 1_780_000_000_000
        events: list[oracle.Event] = [
            (one["event"], one["at"], one["messageId"].encode(), one["properties"], {})
            for one in story(random.Random(seed), start)
        ]
        world = oracle.World(events, now=start + 30 * MINUTE, identified=True, retention=400 * 86_400_000)
        for kind in KINDS:
            found[kind].add(oracle.member({"v": 1, "rule": sequence(kind)}, world))
    assert found == {kind: {True, False} for kind in KINDS}
