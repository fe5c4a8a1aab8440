"""Anything at all, in any order, by several workers at once: in the end everybody is where the rules say."""

import random
import threading
from collections import defaultdict
from typing import Any

import pytest
from django.db import connection

from ingestion.models import Event, EventName, Profile
from ingestion.tasks import apply_some
from keys.models import Project
from persona.lib.clock import rfc3339
from segments import rules
from segments.backfill import backfill_some
from segments.evaluator import evaluate_some
from segments.models import Change, Membership, Persona
from segments.rules import Row, facts_from
from segments.services import delete_persona, update_persona
from tests.effort import tries
from tests.ingestion.applying import alias, identify, put, track
from tests.segments.living import (
    assert_log_is_state,
    never,
    now_ms,
    persona,
    settle,
    trait,
    viewed,
)

Json = dict[str, Any]
NAMES = ("page_viewed", "checkout_completed", "signed_up")
WINDOWS = ("PT0.3S", "PT1S", "PT10S", "P1D", None)


def some_rule(dice: random.Random, depth: int = 0) -> Json:
    leaves = ("event", "never", "trait", "until")
    kind = dice.choice(("event", *leaves, "all", "any") if depth < 2 else leaves)
    if kind in ("all", "any"):
        return {"op": kind, "of": [some_rule(dice, depth + 1) for _ in range(2)]}
    if kind == "trait":
        return trait("plan", dice.choice(("free", "pro")))
    if kind == "until":
        agg = {"fn": dice.choice(("first", "last")), "prop": "until"}
        cmp = {"cmp": dice.choice(("older_than", "newer_than", "within_next")), "value": dice.choice(WINDOWS[:3])}
        return {**viewed(1, dice.choice(WINDOWS), dice.choice(NAMES)), "agg": agg, **cmp}
    if kind == "never":
        return never(dice.choice(NAMES), dice.choice(WINDOWS[:4]) or "P1D")
    return viewed(dice.randint(1, 3), dice.choice(WINDOWS), dice.choice(NAMES))


def some_event(dice: random.Random, now: int) -> Json:
    who: Json = {}
    if dice.random() < 0.6:
        who["userId"] = f"user-{dice.randint(1, 4)}"
    if dice.random() < 0.6 or not who:
        who["anonymousId"] = f"anonymous-{dice.randint(1, 6)}"
    if dice.random() < 0.05:
        return alias(f"user-{dice.randint(1, 4)}", f"user-{dice.randint(1, 4)}")
    if dice.random() < 0.15 and "userId" in who:
        return identify(who["userId"], {"plan": dice.choice(("free", "pro", None))}, **who)
    ts = now - dice.choice((0, 0, 5, 200, 900, 5_000))
    until = {"until": rfc3339(now + dice.randint(-1_000, 1_000))} if dice.random() < 0.8 else {}
    message = f"m{dice.randint(1, 400)}"
    return track(dice.choice(NAMES), messageId=message, timestamp=rfc3339(ts), properties=until, **who)


def assert_everybody_is_where_the_rules_say(project: Project) -> int:
    """Compare each membership with its rule, judged on all events; returns how many members there are."""
    now = now_ms()
    names = dict(EventName.objects.filter(project=project).values_list("id", "name"))
    events: dict[int, list[tuple[str, Row]]] = defaultdict(list)
    for event in Event.objects.filter(project=project, profile_id__isnull=False):
        events[event.profile_id or 0].append((names[event.name_id], Row(event.ts, bytes(event.uid), event.props)))
    stored = {(row.profile_id, row.persona_id): row for row in Membership.objects.filter(project=project)}
    inside = 0
    for one in Persona.objects.filter(project=project):
        rule = rules.parse(one.rule)
        for profile in Profile.objects.filter(project=project):
            row = stored.get((profile.pk, one.pk))
            if row is not None and row.recheck_at is not None and row.recheck_at <= now:
                continue  # a timer that fired after the workers had looked
            known = facts_from(
                events[profile.pk],
                profile=profile.public_id,
                identified=profile.identified,
                traits=profile.traits,
                retention=project.retention,
            )
            if one.status == Persona.Status.PAUSED:
                continue
            judged = one.status == Persona.Status.LIVE and profile.merged_into is None
            expected = judged and rules.value(rule, known, now) > 0
            assert (row is not None and row.is_member) is expected, (
                profile.pk,
                one.slug,
                one.rule,
                row and row.recheck_at,
            )
            inside += expected
    return inside


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(tries(6, plain=3)))
def test_any_order_of_anything(shop: Project, seed: int) -> None:
    dice = random.Random(seed)
    personas = [
        persona(shop, f"p{number}", some_rule(dice), identified_only=dice.random() < 0.2) for number in range(5)
    ]
    inside = 0
    for step in range(14):
        now = now_ms()
        put(shop, *(some_event(dice, now) for _ in range(dice.randint(1, 6))), received_at=now - dice.randint(0, 50))
        if dice.random() < 0.7:
            settle()
            inside += assert_everybody_is_where_the_rules_say(shop)
        if step in (5, 9):
            changed = update_persona(
                persona=dice.choice(personas), changes={"rule": {"v": 1, "rule": some_rule(dice)}}, actor="alice"
            )
            assert changed.version >= 1
    delete_persona(persona=personas[0], actor="alice")
    settle()
    assert inside + assert_everybody_is_where_the_rules_say(shop) > 0
    assert not Membership.objects.filter(project=shop, persona_id=personas[0].pk, is_member=True).exists()


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once(project: Project) -> None:
    dice = random.Random(7)
    for number in range(4):
        persona(project, f"p{number}", some_rule(dice))
    stop = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                if not apply_some() + evaluate_some() + backfill_some():
                    stop.wait(0.002)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for step in range(60):
        put(project, *(some_event(dice, now_ms()) for _ in range(5)), received_at=now_ms())
        if step % 4 == 0:  # saves while backfills of the same persona are under way: their locks must not cross
            some = Persona.objects.get(project=project, slug=f"p{dice.randint(0, 3)}")
            status = dice.choice(("live", "live", "paused", "draft"))
            changes = {"rule": {"v": 1, "rule": some_rule(dice)}, "status": status}
            update_persona(persona=some, changes=changes, actor="alice")
    stop.set()
    for worker in workers:
        worker.join()
    assert not failures, failures
    settle()
    assert_everybody_is_where_the_rules_say(project)
    assert Change.objects.filter(project=project).exists()
    assert_log_is_state(project)
