"""The change log keeps what is young, without holes."""

import pytest
from django.db import connection

from keys.models import Project
from persona.lib.clock import MS_PER_DAY
from segments import upkeep
from segments.log import bounds
from segments.models import Change, Head, StreamTicket
from tests.segments.living import now_ms

pytestmark = pytest.mark.django_db


def put_changes(project: Project, *days_ago: int) -> None:
    now = now_ms()
    with connection.cursor() as cursor:
        for seq, days in enumerate(days_ago, start=1):
            cursor.execute(
                "insert into segments_change (project_id, seq, profile_id, persona_id, op, at, cause, version)"
                " values (%s, %s, %s, 1, 'enter', %s, 'event', 1)",
                [project.pk, seq, seq, now - days * MS_PER_DAY],
            )
    Head.objects.filter(project=project).update(last_seq=len(days_ago))


@pytest.mark.parametrize(
    ("days_ago", "kept"),
    [
        ((40, 35, 10, 1), [3, 4]),
        ((40, 10, 35, 1), [2, 3, 4]),
        ((40, 35), []),
        ((1,), [1]),
        ((), []),
    ],
)
def test_only_the_old_beginning_goes(project: Project, days_ago: tuple[int, ...], kept: list[int]) -> None:
    put_changes(project, *days_ago)
    assert upkeep.prune_log() == len(days_ago) - len(kept)
    assert list(Change.objects.filter(project=project).order_by("seq").values_list("seq", flat=True)) == kept
    assert bounds(project.pk) == (kept[0] if kept else len(days_ago) + 1, len(days_ago))


def test_tickets_that_open_nothing_any_more_go(project: Project) -> None:
    now = now_ms()
    with connection.cursor() as cursor:
        for number, seen_at in enumerate((now, now - 600_000, now - 3_700_000), start=1):
            cursor.execute(
                "insert into segments_streamticket (project_id, id, key_id, seen_at) values (%s, %s, 1, %s)",
                [project.pk, number, seen_at],
            )
    assert upkeep.drop_tickets() == 1
    assert upkeep.drop_tickets() == 0
    assert set(StreamTicket.objects.filter(project=project).values_list("id", flat=True)) == {1, 2}
