"""Monthly partitions: made ahead, filled from the default one, dropped with their time."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from pytest_django import Settings

from ingestion import partitions, receivers, retention, tasks
from ingestion.models import Applied, AppliedBatch, DedupeKey, Event, WriterLane
from keys.models import Project
from persona.lib.clock import MS_PER_DAY, milliseconds
from tests.ingestion.applying import apply_events, track

pytestmark = pytest.mark.django_db


def rows_of(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*) from only {table}")
        return int(cursor.fetchone()[0])


def test_migrating_has_made_this_month_and_the_next_two() -> None:
    assert partitions.ensure() == []
    today = datetime.now(UTC)
    assert not partitions.make(today.year, today.month)


def test_events_of_now_go_to_the_month_and_not_to_the_rest(project: Project) -> None:
    now = milliseconds(datetime.now(UTC))
    apply_events(project, track("a", userId="u1"), received_at=now)
    assert rows_of("ingestion_event_rest") == 0
    assert Event.objects.filter(project=project).count() == 1


def test_a_month_that_comes_late_takes_its_events_from_the_rest(project: Project) -> None:
    june, july = milliseconds(datetime(2001, 6, 15, tzinfo=UTC)), milliseconds(datetime(2001, 7, 1, tzinfo=UTC))
    for instant in (june, july - 1, july):
        apply_events(project, track("a", userId="u1"), received_at=instant)
    assert rows_of("ingestion_event_rest") == 3
    assert partitions.make(2001, 6) == "ingestion_event_2001_06"
    assert partitions.make(2001, 6) == ""
    assert (rows_of("ingestion_event_2001_06"), rows_of("ingestion_event_rest")) == (2, 1)
    assert Event.objects.filter(project=project).count() == 3
    apply_events(project, track("b", userId="u1"), received_at=june)
    assert rows_of("ingestion_event_2001_06") == 3


@pytest.mark.parametrize(
    ("year", "month", "days"), [(2024, 2, 29), (2023, 2, 28), (2023, 12, 31), (2024, 1, 31), (2024, 4, 30)]
)
def test_a_month_has_its_days(year: int, month: int, days: int) -> None:
    start, end = partitions.bounds(year, month)
    assert end - start == days * MS_PER_DAY


def test_a_month_is_dropped_when_all_of_it_is_older_than_the_longest_retention(project: Project) -> None:
    _, end = partitions.bounds(2001, 6)
    partitions.make(2001, 6)
    apply_events(project, track("a", messageId="old"), received_at=end - 1)
    apply_events(project, track("a", messageId="new"), received_at=end)
    DedupeKey.objects.filter(project=project).update(received_at=end)
    DedupeKey.objects.filter(project=project).filter(uid=b"").delete()
    assert retention.drop_expired(end - 1) == []
    assert retention.drop_expired(end) == ["ingestion_event_2001_06"]
    assert [event.received_at for event in Event.objects.filter(project=project)] == [end]
    assert DedupeKey.objects.filter(project=project).count() == 2


def test_the_uids_of_a_dropped_time_are_forgotten(project: Project) -> None:
    _, end = partitions.bounds(2001, 6)
    partitions.make(2001, 6)
    apply_events(project, track("a", messageId="old"), track("a", messageId="new"))
    DedupeKey.objects.filter(uid=DedupeKey.objects.values_list("uid", flat=True)[:1][0]).update(received_at=end - 1)
    retention.drop_expired(end)
    assert DedupeKey.objects.filter(project=project).count() == 1


def test_a_shorter_horizon_forgets_uids_once_a_day(project: Project, settings: Settings) -> None:
    apply_events(project, track("a", messageId="m"))
    DedupeKey.objects.filter(project=project).update(received_at=19_969 * MS_PER_DAY)
    night = 20_000 * MS_PER_DAY + 3 * retention.HOUR_MS
    seen = []
    for days, now in ((0, night), (30, night + retention.HOUR_MS), (40, night), (30, night)):
        settings.PERSONA_DEDUPE_DAYS = days
        retention.forget_keys(now)
        seen.append(DedupeKey.objects.filter(project=project).count())
    assert seen == [1, 1, 1, 0]


def test_the_longest_retention_is_of_all_projects(project: Project) -> None:
    assert retention.longest_retention() == 400
    Project.objects.filter(pk=project.pk).update(settings={"retention_days": 30})
    assert retention.longest_retention() == 400
    Project.objects.filter(pk=project.pk).update(settings={"retention_days": 900})
    assert retention.longest_retention() == 900


def test_upkeep_prunes_what_is_old_and_makes_missing_lanes(project: Project, other_project: Project) -> None:
    now = milliseconds(datetime.now(UTC))
    for batch, days in (("b_old", 8), ("b_new", 6)):
        AppliedBatch.objects.create(
            project=project, batch_id=batch, stored=1, duplicates=0, rejected=0, at=now - days * MS_PER_DAY
        )
    for seq, hours in ((1, 2), (2, 0)):
        Applied.objects.create(project=project, seq=seq, at=now - hours * 3_600_000, events=[])
    WriterLane.objects.filter(project=other_project).delete()
    tasks.maintain()
    assert list(AppliedBatch.objects.values_list("batch_id", flat=True)) == ["b_new"]
    assert list(Applied.objects.values_list("seq", flat=True)) == [2]
    assert WriterLane.objects.filter(project=other_project).exists()


def test_migrating_back_to_nothing_asks_for_no_partitions() -> None:
    with connection.cursor() as cursor:
        cursor.execute("drop table ingestion_event")
    receivers.migrated()


def test_only_months_can_be_dropped() -> None:
    with pytest.raises(ValueError, match="not a month"):
        partitions.drop("ingestion_event_rest")
