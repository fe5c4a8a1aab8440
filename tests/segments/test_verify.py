"""What `manage.py verify` finds, and what it does not complain about."""

import json
import time
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from ingestion.deadletters import redrive
from ingestion.models import DeadLetter
from ingestion.tasks import apply_some
from keys.models import AuditEntry, Project
from persona.lib.clock import rfc3339
from segments import tasks
from segments.evaluator import evaluate_some
from segments.insight import people
from segments.models import Change, Membership, Persona, PersonaVersion, VerifyResult
from segments.services import create_persona, update_persona
from segments.verify import passes, results
from segments.verify.passes import verify
from segments.verify.report import Report
from tests.ingestion.applying import put, track
from tests.segments.living import everyone_of, log, never, now_ms, persona, settle, viewed
from tests.segments.timing import Clock
from tests.segments.traffic import traffic
from tests.waiting import until

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
        ("update segments_change set at = at + 1 where seq = 2", "log"),
        ("update segments_change set at = at - 1 where seq = 2", "log"),
        ("update segments_change set version = 2 where seq = 2", "log"),
        ("update segments_membership set since = since + 1 where is_member", "log"),
        ("update segments_membership set shard = shard + 1", "timer"),
        ("delete from ingestion_event", "membership"),
        ("update ingestion_alias set profile_id = 999999", "orphan"),
        ("update ingestion_event set profile_id = 999999", "orphan"),
        ("update segments_persona set status = 'draft'", "orphan"),
        ("update segments_persona set deleted_at = now()", "orphan"),
        ("update ingestion_profile set merged_into = 1 where id = (select min(id) from ingestion_profile)", "orphan"),
        ("update segments_head set last_seq = last_seq + 1", "log"),
    ],
)
def test_damage_is_found(crowd: Project, damage: str, kind: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(damage)
    assert kind in kinds(crowd)


def test_what_time_brought_about_is_held_against_the_events_of_then(project: Project, clock: Clock) -> None:
    """The second event happened before the leave and came after it: by what is known now, Alice never left."""
    persona(project, "brief", viewed(1, "PT1M"))
    Persona.objects.update(redefined_at=datetime(2020, 1, 1, tzinfo=UTC))
    put(project, track(userId="alice"), received_at=now_ms())
    settle()
    clock.pass_by(61_000)
    settle()
    left = Change.objects.get(project=project, cause="time")
    put(project, track(userId="alice", timestamp=rfc3339(left.at - 10)), received_at=now_ms())
    settle()
    clock.pass_by(61_000)
    settle()
    assert [change[1] for change in log(project)] == ["enter", "leave", "enter", "leave"]
    assert whole(project).differences == []
    Change.objects.filter(project=project, seq=2).update(at=left.at - 1)
    Change.objects.filter(project=project, seq=4).update(at=left.at + 69_000)
    found = sorted(difference.what for difference in whole(project).differences)
    assert [text.partition(":")[0] for text in found[:2]] == ["change 2", "change 4"]
    assert f"since {left.at + 60_000 - 10}; the last word of the log is of {left.at + 69_000} (4)" in found[2]
    assert f"by time, but not at {left.at - 1}" in found[0]


def test_an_event_that_was_put_back_is_held_against_no_row_from_before(project: Project, clock: Clock) -> None:
    """With the instant of its first receipt it says that Alice left a second later than she did."""
    persona(project, "brief", viewed(1, "PT1M"))
    Persona.objects.update(redefined_at=datetime(2020, 1, 1, tzinfo=UTC))
    received_at = now_ms()
    put(
        project,
        track(userId="alice", timestamp=rfc3339(received_at - 1_000)),
        {"type": "track", "userId": "alice"},
        received_at=received_at,
    )
    settle()
    clock.pass_by(61_000)
    settle()
    letter = DeadLetter.objects.get(project=project)
    redrive(letter=letter, actor="test", event=json.dumps(track(userId="alice")).encode())
    settle()
    assert [change[1] for change in log(project)] == ["enter", "leave"]
    assert whole(project).differences == []
    AuditEntry.objects.filter(action="dead_letter.redriven").delete()
    assert [found.kind for found in whole(project).differences] == ["log"]


def test_a_row_is_by_a_version_that_the_persona_had_then(project: Project, clock: Clock) -> None:
    brief = persona(project, "brief", viewed(1, "PT1M"))
    hour = 3_600_000
    update_persona(persona=brief, changes={"rule": {"v": 1, "rule": viewed(1, "PT2M")}}, actor="alice")
    PersonaVersion.objects.filter(version=1).update(at=datetime.fromtimestamp((now_ms() - 2 * hour) / 1_000, UTC))
    PersonaVersion.objects.filter(version=2).update(at=datetime.fromtimestamp((now_ms() - hour) / 1_000, UTC))
    put(project, track(userId="alice"), received_at=now_ms())
    settle()
    clock.pass_by(121_000)
    settle()
    assert whole(project).differences == []
    for wrong, why in (({2: 1}, "had given way to 2"), ({1: 1, 2: 1}, "ended at"), ({2: 3}, "it never had")):
        for seq in (1, 2):
            Change.objects.filter(project=project, seq=seq).update(version=wrong.get(seq, 2))
        found = [difference.what for difference in whole(project).differences]
        assert len(found) == len(wrong)
        assert all(why in what for what in found), found


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


def test_a_profile_that_is_always_busy_is_no_difference(crowd: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody looks at page after page while it is verified: at every look something is on its way."""
    monkeypatch.setattr(passes, "PAUSE", 0)
    reports = verify(crowd, looks=3)
    for number in range(5):
        put(crowd, track(userId="alice", messageId=f"busy-{number}"), received_at=now_ms())
        apply_some()
        report = next(reports)
        evaluate_some()
    for report in reports:  # noqa: B007 - the last one is the whole
        pass
    assert (report.differences, report.busy, report.done) == ([], 1, True)


def test_a_persona_that_is_being_judged_anew_is_left_out_and_said_to_be(crowd: Project) -> None:
    create_persona(project=crowd, slug="new", name="", rule={"v": 1, "rule": viewed(1)}, actor="alice")
    report = whole(crowd)
    assert (report.differences, report.left_out, report.pairs) == ([], 1, 3)


def test_while_traffic_runs_nothing_differs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events, timers, merges, traits and a changed rule, from threads of their own, while it is verified again and
    again; people.PAGE is so small that the passes are long."""
    monkeypatch.setattr(people, "PAGE", 7)
    monkeypatch.setattr(passes, "PAUSE", 0.02)
    persona(project, "keen", everyone_of(viewed(2, "PT2S"), never("checkout_completed", "PT1S")))
    persona(project, "old", {"op": "trait", "path": "age", "cmp": "gte", "value": 5})
    persona(project, "moody", viewed(1, "PT1S"))
    reports: list[Report] = []
    deadline = time.monotonic() + 60
    Persona.objects.update(redefined_at=datetime(2020, 1, 1, tzinfo=UTC))
    with traffic(project):
        while not Change.objects.filter(project=project, cause="time").exists() or sum(r.pairs for r in reports) < 400:
            reports.append(whole(project, looks=200))
            assert time.monotonic() < deadline
    assert [difference for report in reports for difference in report.differences] == []
    until(lambda: settled_without_difference(project), "no difference")  # timers go on to become due meanwhile


def settled_without_difference(project: Project) -> bool:
    settle()
    return whole(project).differences == []


def test_a_member_from_before_the_kept_log_needs_no_row(crowd: Project) -> None:
    first = Change.objects.get(project=crowd, seq=1)
    Membership.objects.filter(project=crowd, profile_id=first.profile_id).update(since=1)
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


def metrics(client: Client, alice: User) -> dict[str, float]:
    client.force_login(alice)
    lines = (line.rpartition(" ") for line in client.get("/metrics").content.decode().splitlines() if line[0] != "#")
    return {name: float(value) for name, _, value in lines if "verify" in name}


def test_its_result_is_a_metric(crowd: Project, alice: User, client: Client) -> None:
    assert metrics(client, alice) == {}
    call_command("verify", "shop", stdout=StringIO())
    label = '{project="shop"}'
    found = metrics(client, alice)
    assert found[f"persona_verify_differences{label}"] == 0
    assert abs(found[f"persona_verify_at_seconds{label}"] - now_ms() / 1000) < 60
    Membership.objects.filter(project=crowd).update(recheck_at=None)
    with pytest.raises(SystemExit):
        call_command("verify", "shop", stdout=StringIO())
    assert metrics(client, alice)[f"persona_verify_differences{label}"] > 0


def test_by_and_by_each_project_is_verified(
    crowd: Project, other_project: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert results.verify_some() == 0  # nobody has asked for it
    settings.PERSONA_VERIFY_INTERVAL = 3_600
    monkeypatch.setattr(people, "PAGE", 1)
    monkeypatch.setattr(results, "BUDGET", 0.0)
    turns = 0
    while VerifyResult.objects.filter(at=None).exists() or not turns:
        tasks.verify()
        turns += 1
        assert turns < 50
    assert turns > 5
    assert results.verify_some() == 0
    assert dict(VerifyResult.objects.values_list("project__slug", "differences")) == {"shop": 0, "elsewhere": 0}
    VerifyResult.objects.filter(project=crowd).update(at=1, running=b'{"from": "another release", "cursor": "x"}')
    Membership.objects.filter(project=crowd).update(recheck_at=None)
    monkeypatch.setattr(results, "BUDGET", 10.0)
    assert results.verify_some() > 1
    assert VerifyResult.objects.get(project=crowd).differences > 0


@pytest.mark.parametrize("arguments", [("nowhere",), ("shop", "--at", "tomorrow"), ("shop", "--at", "2001-01-01")])
def test_what_cannot_be_asked(crowd: Project, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("verify", *arguments)
