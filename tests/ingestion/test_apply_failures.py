"""What goes wrong while applying: a poisonous batch, a crash in the middle, two workers at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import OperationalError, connection, connections, transaction
from pytest_django import Settings

from ingestion import tasks
from ingestion.applying import waiting, writer
from ingestion.applying.cursors import bulk_transaction
from ingestion.applying.turns import Lane
from ingestion.models import Alias, AppliedBatch, Batch, DeadLetter, DedupeKey, Event, EventName, Profile, StaleProfiles
from keys.models import Project
from persona.lib import ids
from persona.lib.clock import rfc3339
from tests.ingestion.applying import (
    RECEIVED,
    alias,
    apply_all,
    fate,
    identify,
    people,
    profile_of,
    put,
    put_body,
    stored,
    track,
)

# PostgreSQL has no index entry of this size, and compression does not help: the whole turn fails in the database.
TOO_LONG_TO_INDEX = "b_" + "".join(ids.opaque("", 100) for _ in range(100))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "poison",
    [
        {"dialect": "no_such_wire", "batch_id": "b_poison"},
        {"body": b"not json", "batch_id": "b_poison"},
        {"batch_id": TOO_LONG_TO_INDEX},
    ],
    ids=["unknown wire", "unreadable", "refused by PostgreSQL"],
)
def test_a_batch_that_cannot_be_applied_is_parked_and_holds_up_nobody(project: Project, poison: dict[str, str]) -> None:
    before = put(project, track("a", userId="u1"))
    put_body(project, **{"body": b'{"batch":[{"type":"track","event":"bad","userId":"u9"}]}', **poison})  # type: ignore[arg-type]  # a test's table
    after = put(project, track("b", userId="u1"))
    assert apply_all() == 3
    assert fate(project, before) == fate(project, after) == (1, 0, 0)
    assert [name for name, *_ in sorted(stored(project))] == ["a", "b"]
    (parked,) = Batch.objects.filter(project=project)
    assert parked.parked
    assert parked.error
    assert "u9" not in parked.error
    assert tasks.apply_some() == 0


@pytest.mark.django_db
def test_a_parked_batch_can_be_tried_again(project: Project) -> None:
    put_body(project, b'{"batch":[{"type":"track","event":"a","userId":"u1"}]}', dialect="not_yet")
    apply_all()
    (parked,) = Batch.objects.filter(project=project)
    Batch.objects.filter(project=project).update(dialect="pipeline")
    assert waiting.unpark(project.id, parked.id)
    assert not waiting.unpark(project.id, parked.id)
    assert apply_all() == 1
    assert fate(project, "b_1") == (1, 0, 0)


def everything(project: Project) -> list[object]:
    """All that applying writes, without the numbers that a rolled-back turn uses up."""
    traits = dict(Profile.objects.filter(project=project).values_list("id", "traits"))
    aliases = Alias.objects.filter(project=project)
    batches = AppliedBatch.objects.filter(project=project)
    return [
        sorted((row.kind, row.external_id, str(traits[row.profile_id])) for row in aliases),
        [(name, ts, props) for name, ts, _, props in stored(project)],
        sorted(batches.values_list("batch_id", "stored", "duplicates", "rejected")),
        sorted(bytes(uid) for uid in DedupeKey.objects.filter(project=project).values_list("uid", flat=True)),
        sorted(EventName.objects.filter(project=project).values_list("id", "name")),
    ]


def work(project: Project) -> None:
    put(
        project,
        track("a", anonymousId="a1", messageId="1"),
        identify("u1", {"plan": "pro"}, messageId="2"),
        batch_id="b_a",
    )
    put(project, track("b", anonymousId="a1", userId="u1", messageId="3"), {"type": "odd"}, batch_id="b_b")
    put(project, alias("u1", "u2", messageId="4"), track("a", userId="u2", messageId="1"), batch_id="b_c")


@pytest.mark.django_db(transaction=True)
def test_a_turn_that_dies_before_its_commit_leaves_nothing_and_is_done_again(
    project: Project, other_project: Project
) -> None:
    work(other_project)
    apply_all()
    work(project)

    class Killed(BaseException):
        """What a SIGTERM does to Python."""

    def die_before_commit() -> None:
        with bulk_transaction() as cursor:
            lane = Lane(project.id, project.shards, 0, 0, judged=True, has_erased=False)
            writer.apply(cursor, lane, waiting.take(project.id))
            raise Killed

    with pytest.raises(Killed):
        die_before_commit()
    for model in (Event, Profile, Alias, DedupeKey, AppliedBatch, StaleProfiles, EventName):
        assert not model._default_manager.filter(project=project).exists()
    assert Batch.objects.filter(project=project).count() == 3
    apply_all()
    assert everything(project) == everything(other_project)


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_the_callers_and_parks_nothing(project: Project) -> None:
    batch = put(project, track("a", userId="u1"))
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (pid,) = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(%s, 5000)", [pid])
    other.close()
    with pytest.raises(OperationalError):
        tasks.apply_some()
    connection.close()
    assert not Batch.objects.filter(parked=True).exists()
    apply_all()
    assert fate(project, batch) == (1, 0, 0)


@pytest.fixture
def many(project: Project, other_project: Project) -> list[Project]:
    """Two projects with the same ids everywhere, and every event twice."""
    for number in range(40):
        for one in (project, other_project):
            events = [track("a", userId=f"u{n % 7}", messageId=f"m{number * 5 + n}") for n in range(10)]
            then = rfc3339(RECEIVED - 1_000 + number)
            put(one, *events, identify(f"u{number % 7}", {"n": number}, messageId=f"i{number}", timestamp=then))
    return [project, other_project]


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_never_double_and_never_lose(many: list[Project], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "EVENTS_A_TURN", 30)  # so that there are many turns to collide in
    start = Barrier(3)

    def worker() -> int:
        start.wait(30)
        try:
            total = 0
            while Batch.objects.exists():
                total += tasks.apply_some()
            return total
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        done = [future.result(60) for future in [pool.submit(worker) for _ in range(3)]]
    assert sum(done) == 80
    for one in many:
        assert people(one) == {frozenset({f"user:u{n}"}) for n in range(7)}
        assert len(stored(one)) == 205 + 40
        assert DedupeKey.objects.filter(project=one).count() == 245
        rows = AppliedBatch.objects.filter(project=one)
        assert sum(row.stored for row in rows) == 245
        assert sum(row.stored + row.duplicates for row in rows) == 440
        assert profile_of(one, "user", "u4").traits == {"n": 39}


@pytest.mark.django_db(transaction=True)
def test_a_locked_lane_is_passed_over(project: Project, other_project: Project) -> None:
    put(project, track("a", userId="u1"))
    put(other_project, track("a", userId="u1"))

    def meanwhile() -> list[int]:
        try:
            return [tasks.apply_some(), tasks.apply_some()]
        finally:
            connections.close_all()

    with transaction.atomic(), connection.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("select 1 from ingestion_writerlane where project_id = %s for update", [project.id])
        assert pool.submit(meanwhile).result(30) == [1, 0]
    assert not stored(project)
    assert len(stored(other_project)) == 1
    assert apply_all() == 1


@pytest.mark.django_db(transaction=True)
def test_an_inbox_of_its_own_is_emptied_after_the_commit(project: Project, settings: Settings) -> None:
    connections["inbox"] = connection.copy(alias="inbox")  # the same database over a connection of its own
    settings.INBOX_ALIAS = "inbox"
    try:
        good = put(project, track("a", userId="u1", messageId="m1"))
        put_body(project, b"{}", dialect="no_such_wire", batch_id="b_poison")
        assert apply_all() == 2
        assert fate(project, good) == (1, 0, 0)
        assert [(batch.batch_id, batch.parked) for batch in Batch.objects.all()] == [("b_poison", True)]
        # Had the process ended between the commit and the deletion, the batch would still be there.
        put(project, track("a", userId="u1", messageId="m1"), batch_id=good)
        assert apply_all() == 1
        assert len(stored(project)) == 1
    finally:
        connections["inbox"].close()
        del connections["inbox"]


@pytest.mark.django_db
def test_what_was_read_ahead_is_asked_for_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two turns a batch that was read ahead is set aside; another is poisonous."""
    monkeypatch.setattr(waiting, "EVENTS_A_TURN", 4)
    first = [put(project, track("a", userId="u1"), track("b", userId="u2")) for _ in range(2)]
    kept = put(project, track("c", userId="u1"), {"type": "nonsense"})
    gone = put(project, track("d", userId="u1"))
    put_body(project, b"not json", batch_id="b_poison")
    assert tasks.apply_some() == 2
    waiting.park(project.pk, Batch.objects.get(batch_id=gone).pk, "set aside")
    assert apply_all() == 2
    assert [fate(project, batch) for batch in (*first, kept)] == [(2, 0, 0), (2, 0, 0), (1, 0, 1)]
    assert {batch.batch_id for batch in Batch.objects.filter(project=project, parked=True)} == {gone, "b_poison"}
    assert sorted(name for name, *_ in stored(project)) == ["a", "a", "b", "b", "c"]
    (letter,) = DeadLetter.objects.filter(project=project)
    assert bytes(letter.body) == b'{"type":"nonsense"}'
