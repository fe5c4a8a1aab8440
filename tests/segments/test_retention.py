"""No window means the retention of the project: when that changes, everybody is judged anew."""

import pytest
from pytest_django import Settings

from keys.models import Project
from persona.lib.clock import MS_PER_DAY
from segments import definitions, upkeep
from segments.models import BackfillJob, Membership, Persona
from tests.ingestion.applying import put, track
from tests.segments.living import Json, log, members, now_ms, persona, settle, viewed

pytestmark = pytest.mark.django_db

LONG_AGO: Json = {"op": "since", "event": "page_viewed", "which": "last", "cmp": "gte", "value": "P5D"}
IN_A_PERIOD: Json = {**viewed(1, None), "window": {"from": "2020-01-01T00:00:00Z", "to": "2120-01-01T00:00:00Z"}}
IN_A_MONTH: Json = {**viewed(1, None), "window": {"calendar": "month", "back": 0, "tz": "UTC"}}


@pytest.fixture
def shop_of_old(shop: Project) -> Project:
    """Alice looked 20 days ago."""
    put(shop, track(userId="alice"), received_at=now_ms() - 20 * MS_PER_DAY)
    settle()
    return shop


def keep(project: Project, days: int | None) -> None:
    project.settings = {} if days is None else {"retention_days": days}
    project.save()
    settle()


@pytest.mark.parametrize("rule", [viewed(1, None), viewed(1, "P300D"), LONG_AGO, IN_A_PERIOD])
def test_everybody_is_judged_by_the_new_retention(shop_of_old: Project, rule: Json) -> None:
    persona(shop_of_old, "seen", rule)
    assert members(shop_of_old, "seen") == {"alice"}
    keep(shop_of_old, 10)
    assert members(shop_of_old, "seen") == set()
    keep(shop_of_old, 30)
    assert members(shop_of_old, "seen") == {"alice"}
    assert [(op, cause) for _, op, _, cause in log(shop_of_old)] == [
        ("enter", "definition"),
        ("leave", "definition"),
        ("enter", "definition"),
    ]
    assert Persona.objects.get(project=shop_of_old).status == Persona.Status.LIVE


def test_who_refers_follows_too_and_pauses_stay(shop_of_old: Project) -> None:
    persona(shop_of_old, "seen", viewed(1, None))
    persona(shop_of_old, "unseen", {"op": "not", "of": {"op": "member", "persona": "seen"}})
    paused = persona(shop_of_old, "kept", viewed(1, None))
    Persona.objects.filter(pk=paused.pk).update(status=Persona.Status.PAUSED)
    keep(shop_of_old, 10)
    assert (members(shop_of_old, "unseen"), members(shop_of_old, "kept")) == ({"alice"}, {"alice"})


@pytest.mark.parametrize("rule", [viewed(1, "P9D"), IN_A_MONTH, {"op": "trait", "path": "a", "cmp": "exists"}])
def test_who_looks_at_nothing_so_old_is_left_alone(shop_of_old: Project, rule: Json) -> None:
    persona(shop_of_old, "seen", rule)
    BackfillJob.objects.filter(project=shop_of_old).delete()
    keep(shop_of_old, 200)
    assert not BackfillJob.objects.filter(project=shop_of_old).exists()


def test_another_setting_wakes_nobody(shop_of_old: Project) -> None:
    made = persona(shop_of_old, "seen", viewed(1, None))
    shop_of_old.settings = {"sample_rate": 0.5}
    shop_of_old.save()
    made.refresh_from_db()
    assert made.status == Persona.Status.LIVE


def test_the_timers_of_the_new_retention_are_stored(shop_of_old: Project) -> None:
    persona(shop_of_old, "seen", viewed(1, None))
    keep(shop_of_old, 21)
    (row,) = Membership.objects.filter(project=shop_of_old)
    assert row.recheck_at is not None
    assert 0 < row.recheck_at - now_ms() <= MS_PER_DAY


def test_the_default_of_the_installation_is_followed_by_upkeep(shop_of_old: Project, settings: Settings) -> None:
    persona(shop_of_old, "seen", viewed(1, None))
    settings.PERSONA_RETENTION_DAYS = 10
    definitions._cache.clear()  # as in a worker that was started with another environment
    assert upkeep.follow_retentions() == 1
    settle()
    assert members(shop_of_old, "seen") == set()
    assert upkeep.follow_retentions() == 0
