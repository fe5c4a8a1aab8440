"""What `manage.py verify` finds, and what it does not complain about."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ingestion.tasks import apply_some
from keys.models import Project
from persona.lib.clock import rfc3339
from segments.models import Change, Membership
from segments.verify.passes import verify
from segments.verify.report import Report
from tests.ingestion.applying import put, track
from tests.segments.living import everyone_of, never, now_ms, persona, settle, viewed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def crowd(project: Project) -> Project:
    """Alice and Bob are in; Charlie has bought and comes in again by time."""
    persona(project, "keen", everyone_of(viewed(1), never("checkout_completed", "PT1H")))
    put(project, track(userId="alice"), track(userId="bob"), track(userId="charlie"), received_at=now_ms() - 50)
    put(project, track("checkout_completed", userId="charlie"), received_at=now_ms())
    settle()
    return project


def whole(project: Project, **how: int) -> Report:
    report = Report()
    for report in verify(project, **how):  # noqa: B007 - the last one is the whole
        pass
    return report


def kinds(project: Project) -> set[str]:
    return {difference.kind for difference in whole(project).differences}


def test_nothing_differs(crowd: Project) -> None:
    report = whole(crowd)
    assert (report.profiles, report.pairs, report.differences) == (3, 3, [])


def test_a_future_instant_is_judged_by_the_same_code(crowd: Project) -> None:
    assert whole(crowd, at=now_ms() + 3_600_000).changes_at == 1
    assert whole(crowd, at=now_ms() + 2 * 86_400_000).changes_at == 2


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("update segments_membership set is_member = not is_member where is_member", "membership"),
        ("update segments_membership set recheck_at = recheck_at + 1", "timer"),
        ("update segments_membership set recheck_at = null", "timer"),
        ("delete from segments_membership", "membership"),
        ("delete from segments_change where seq = 2", "log"),
        ("update segments_change set op = 'leave' where seq = 1", "log"),
        ("update segments_change set seq = seq + 1 where seq = 2", "log"),
        ("delete from ingestion_event", "membership"),
        ("update ingestion_alias set profile_id = 999999", "orphan"),
    ],
)
def test_damage_is_found(crowd: Project, damage: str, kind: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(damage)
    assert kind in kinds(crowd)


def test_what_is_on_its_way_is_no_difference(crowd: Project) -> None:
    put(crowd, track(userId="dora"), received_at=now_ms())
    apply_some()
    looks = verify(crowd)
    next(looks)
    settle()  # a worker comes while it looks
    assert [report.differences for report in looks][-1] == []


def test_a_worker_that_never_comes_is_said(crowd: Project) -> None:
    put(crowd, track(userId="dora"), received_at=now_ms())
    apply_some()
    assert "is a worker running" in whole(crowd, looks=2).differences[0].what


def test_a_member_from_before_the_kept_log_needs_no_row(crowd: Project) -> None:
    Membership.objects.filter(project=crowd, is_member=True).update(since=1)
    Change.objects.filter(project=crowd, seq=1).delete()
    assert kinds(crowd) == set()


def test_the_command_says_it_and_fails_when_something_differs(crowd: Project) -> None:
    out = StringIO()
    call_command("verify", "shop", "--at", rfc3339(now_ms() + 3_600_000), stdout=out)
    assert "1 memberships will be different then" in out.getvalue()
    assert "3 profiles, 3 memberships: 0 differences" in out.getvalue()
    Membership.objects.filter(project=crowd).update(is_member=False)
    with pytest.raises(SystemExit) as ended:
        call_command("verify", "shop", stdout=out)
    assert ended.value.code == 1


@pytest.mark.parametrize("arguments", [("nowhere",), ("shop", "--at", "tomorrow"), ("shop", "--at", "2001-01-01")])
def test_what_cannot_be_asked(crowd: Project, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("verify", *arguments)
