import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from keys import tokens
from keys.auth import KeyRing
from keys.auth import ring as process_ring
from keys.known import memory
from keys.models import ApiKey, Project
from keys.principal import Line, Snapshot
from keys.services import issue_key, revoke_key, rotate_key
from persona.lib.problems import Problem
from tests.waiting import DEADLINE, until

NOWHERE = "host=127.0.0.1 port=1 dbname=nowhere user=nobody"
SECONDS = DEADLINE

Key = tuple[ApiKey, str]


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def code(ring: KeyRing, key: str) -> str:
    """What resolve refuses the key for; empty when it does not."""
    try:
        ring.resolve(key)
    except Problem as problem:
        return problem.code
    return ""


def test_a_good_key_speaks_for_its_project(db: None, ring: KeyRing, public_key: Key) -> None:
    key, secret = public_key
    principal = ring.resolve(secret)
    assert (principal.project_id, principal.project, principal.mode) == (key.project_id, "shop", "live")
    assert (principal.key_id, principal.kind, principal.lookup) == (key.pk, "pk", secret[:16])
    assert principal.origins == {"https://shop.example"}
    assert principal.expires_at is None
    assert principal.options == key.project.options


def test_the_second_time_costs_no_query(
    db: None, secret_key: Key, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Its own thread sees nothing of this transaction: it would forget the key.
    ring = KeyRing(line=lambda: Line(NOWHERE), clock=Clock())
    _, secret = secret_key
    assert ring.cached(secret) is None
    with django_assert_num_queries(1):
        principal = ring.resolve(secret)
    with django_assert_num_queries(0):
        assert ring.resolve(secret) is principal
        assert ring.cached(secret) is principal
        assert ring.lookup(secret).result(SECONDS) is principal
        assert ring.valid(principal.key_id)
    ring.close()


@pytest.mark.parametrize("text", ["", "nonsense", "sk_live_short", "sk_live_" + "é" * 32])
def test_a_malformed_key_never_reaches_the_database(
    db: None, ring: KeyRing, text: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert ring.cached(text) is None
        assert code(ring, text) == "auth.invalid_key"
        assert isinstance(ring.lookup(text).exception(0), Problem)


def test_an_unknown_key_is_asked_for_once_a_second(
    db: None, secret_key: Key, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    clock = Clock()
    ring = KeyRing(clock=clock)
    stranger = tokens.make("sk", "live")
    with django_assert_num_queries(1):
        assert [code(ring, stranger) for _ in range(3)] == ["auth.invalid_key"] * 3
        assert isinstance(ring.lookup(stranger).exception(0), Problem)
    clock.now += memory.REFUSAL_SECONDS
    with django_assert_num_queries(1):
        assert code(ring, stranger) == "auth.invalid_key"
    ring.close()


def test_the_right_start_with_a_wrong_rest(db: None, ring: KeyRing, secret_key: Key) -> None:
    _, secret = secret_key
    wrong = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    assert code(ring, wrong) == "auth.invalid_key"
    assert code(ring, secret) == ""


def test_a_live_key_of_a_project_that_is_a_test_now(db: None, ring: KeyRing, secret_key: Key) -> None:
    key, secret = secret_key
    Project.objects.filter(pk=key.project_id).update(mode="test")
    assert code(ring, secret) == "auth.invalid_key"


def test_a_revoked_and_an_expired_key(db: None, ring: KeyRing, project: Project, alice: User) -> None:
    revoked, revoked_secret = issue_key(project=project, kind="sk", name="a", actor=alice)
    expired, expired_secret = issue_key(project=project, kind="sk", name="b", actor=alice)
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at=timezone.now())
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(milliseconds=1))
    assert code(ring, revoked_secret) == "auth.revoked_key"
    assert code(ring, expired_secret) == "auth.expired_key"


def test_expiry_needs_no_query(
    db: None, project: Project, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    clock = Clock()
    # Its own thread sees nothing of this transaction: it would forget the key.
    ring = KeyRing(line=lambda: Line(NOWHERE), clock=clock)
    end = timezone.now() + timedelta(seconds=1_000)
    key, secret = issue_key(project=project, kind="sk", name="a", actor=alice, expires_at=end)
    assert ring.resolve(secret).expires_at == pytest.approx(end.timestamp())
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() + timedelta(seconds=1))
    ring.forget(key.pk)
    ring.resolve(secret)
    with django_assert_num_queries(0):
        assert ring.valid(key.pk)
        clock.now += 1
        assert ring.cached(secret) is None
        assert not ring.valid(key.pk)
    ring.close()


def test_what_was_not_confirmed_lately_is_read_again(
    db: None, secret_key: Key, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    clock = Clock()
    ring = KeyRing(clock=clock)  # with this clock, its own thread is never due again
    _, secret = secret_key
    ring.resolve(secret)
    clock.now += memory.TRUST_SECONDS + 0.1
    assert ring.cached(secret) is None
    with django_assert_num_queries(1):
        ring.resolve(secret)
    ring.close()


def test_the_number_of_remembered_keys_is_bounded(db: None, project: Project, alice: User) -> None:
    clock = Clock()
    # Its own thread sees nothing of this transaction: it would forget these keys.
    ring = KeyRing(line=lambda: Line(NOWHERE), clock=clock, capacity=10)
    secrets = [issue_key(project=project, kind="sk", name=str(n), actor=alice)[1] for n in range(12)]
    for secret in secrets:
        clock.now += 0.01
        ring.resolve(secret)
    assert sum(ring.cached(secret) is not None for secret in secrets) == 10
    assert ring.cached(secrets[0]) is None
    for _ in range(30):
        code(ring, tokens.make("pk", "live"))
    assert ring.remembered() == 20
    ring.close()


def test_settings_of_another_release_fail_closed(db: None, ring: KeyRing, secret_key: Key) -> None:
    key, secret = secret_key
    Project.objects.filter(pk=key.project_id).update(settings={"unheard_of": 1})
    assert code(ring, secret) == "auth.unavailable"


@pytest.mark.django_db(transaction=True)
class TestItsOwnThread:
    """Committed rows, as another process would write them."""

    def test_many_new_keys_at_once(self, ring: KeyRing, project: Project, alice: User) -> None:
        made = [issue_key(project=project, kind="pk", name=str(n), actor=alice) for n in range(5)]
        futures = [ring.lookup(secret) for _, secret in made]
        stranger = ring.lookup(tokens.make("pk", "live"))
        assert [future.result(SECONDS).key_id for future in futures] == [key.pk for key, _ in made]
        problem = stranger.exception(SECONDS)
        assert isinstance(problem, Problem)
        assert problem.code == "auth.invalid_key"

    def test_an_entry_stays_trusted_while_the_database_answers(self, ring: KeyRing, secret_key: Key) -> None:
        _, secret = secret_key
        first = ring.resolve(secret)
        Project.objects.update(settings={"ingest_rate": 77})
        known = until(lambda: known if (known := ring.cached(secret)) is not first else None, "the ring's next look")
        assert known.options.ingest_rate == 77
        assert ring.valid(known.key_id)

    def test_a_revocation_elsewhere_ends_requests_and_streams(self, ring: KeyRing, secret_key: Key) -> None:
        key, secret = secret_key
        ring.resolve(secret)
        with connection.cursor() as cursor:
            cursor.execute("update keys_apikey set revoked_at = now() where id = %s", [key.pk])
        until(lambda: not ring.valid(key.pk), "the ring's next look")
        assert ring.cached(secret) is None
        assert code(ring, secret) == "auth.revoked_key"

    def test_a_deleted_project_ends_its_keys(self, ring: KeyRing, secret_key: Key) -> None:
        key, secret = secret_key
        ring.resolve(secret)
        with connection.cursor() as cursor:
            cursor.execute("delete from keys_auditentry")
            cursor.execute("delete from keys_apikey")
        until(lambda: not ring.valid(key.pk), "the ring's next look")
        assert code(ring, secret) == "auth.invalid_key"

    def test_it_survives_the_loss_of_its_connection(self, ring: KeyRing, secret_key: Key) -> None:
        _, secret = secret_key
        ring.lookup(secret).result(SECONDS)
        with connection.cursor() as cursor:
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
            assert cursor.rowcount >= 1
        first = ring.cached(secret)
        Project.objects.update(settings={"ingest_rate": 78})
        until(lambda: ring.cached(secret) not in (None, first), "the ring's next look")

    def test_stopped_and_used_again(self, ring: KeyRing, secret_key: Key) -> None:
        _, secret = secret_key
        ring.lookup(secret).result(SECONDS)
        ring.close()
        ring.forget(secret_key[0].pk)
        assert ring.lookup(secret).result(SECONDS).lookup == secret[:16]

    def test_a_forked_process_starts_its_own_thread(self, ring: KeyRing, secret_key: Key) -> None:
        key, secret = secret_key
        ring.lookup(secret).result(SECONDS)
        child = os.fork()
        if child == 0:
            # In the child nothing may reach pytest: it leaves through _exit, whatever happens.
            try:
                ring.forget(key.pk)
                os._exit(0 if ring.lookup(secret).result(SECONDS).key_id == key.pk else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        ring.forget(key.pk)
        assert ring.lookup(secret).result(SECONDS).key_id == key.pk  # the parent's connection was left alone

    def test_a_revocation_here_is_immediate(self, secret_key: Key, alice: User) -> None:
        key, secret = secret_key
        process_ring.resolve(secret)
        revoke_key(key=key, actor=alice)
        assert process_ring.cached(secret) is None
        assert not process_ring.valid(key.pk)
        assert code(process_ring, secret) == "auth.revoked_key"
        process_ring.close()

    def test_a_rotation_without_grace_is_immediate(self, secret_key: Key, alice: User) -> None:
        key, secret = secret_key
        process_ring.resolve(secret)
        _, successor = rotate_key(key=key, grace=timedelta(0), actor=alice)
        assert code(process_ring, secret) == "auth.revoked_key"
        assert code(process_ring, successor) == ""
        process_ring.close()


class TestDatabaseAway:
    """It fails closed, with 503 and never 401."""

    @pytest.fixture
    def ring(self) -> KeyRing:
        return KeyRing(read=Line(NOWHERE).read, line=lambda: Line(NOWHERE))

    def test_on_the_callers_thread(self, ring: KeyRing) -> None:
        with pytest.raises(Problem) as caught:
            ring.resolve(tokens.make("sk", "live"))
        assert (caught.value.status, caught.value.code) == (503, "auth.unavailable")
        assert caught.value.retry_after == 1
        ring.close()

    def test_on_its_own_thread(self, ring: KeyRing) -> None:
        for _ in range(3):
            problem = ring.lookup(tokens.make("sk", "live")).exception(SECONDS)
            assert isinstance(problem, Problem)
            assert problem.code == "auth.unavailable"
        ring.close()

    def test_a_key_that_was_good_is_not_trusted_for_longer_than_two_seconds(self, db: None, secret_key: Key) -> None:
        clock = Clock()
        ring = KeyRing(line=lambda: Line(NOWHERE), clock=clock)
        key, secret = secret_key
        ring.resolve(secret)
        clock.now += memory.TRUST_SECONDS
        assert ring.cached(secret) is not None
        clock.now += 0.1
        assert ring.cached(secret) is None
        assert ring.valid(key.pk)  # its streams stay a little longer
        problem = ring.lookup(secret).exception(SECONDS)
        assert isinstance(problem, Problem)
        assert problem.code == "auth.unavailable"
        clock.now += memory.STREAM_TRUST_SECONDS
        assert not ring.valid(key.pk)
        ring.close()

    def test_it_answers_again_when_the_database_is_back(self, transactional_db: None, secret_key: Key) -> None:
        address = [NOWHERE]

        class Moving(Line):
            """Finds the server gone, and later at its place."""

            def read(self, lookups: Sequence[str]) -> Snapshot:
                return Line(address[0]).read(lookups) if address else super().read(lookups)

        ring = KeyRing(line=Moving)
        _, secret = secret_key
        assert isinstance(ring.lookup(secret).exception(SECONDS), Problem)
        address.clear()
        assert ring.lookup(secret).result(SECONDS).lookup == secret[:16]
        ring.close()
