"""Fixtures that all parts share: Alice owns, Bob is a member, Charlie is an outsider."""

import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, connections
from django.test import override_settings

from ingestion.accepting.inbox import inbox
from keys.auth import ring
from keys.limits import charging
from keys.limits.buckets import Limiter
from keys.models import Member, Project
from tests import postgres
from tests.effort import tries
from tests.waiting import DEADLINE

SHARDS = tries(8, plain=2)  # more than one; each takes a step of every backfill


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    if postgres.made():
        connection.settings_dict["TEST"]["TEMPLATE"] = postgres.DATABASE


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """Threads have connections of their own: these must be gone before the database is dropped."""
    yield
    inbox.stop()
    ring.close()
    if asgi := sys.modules.get("persona.asgi"):
        for place in asgi.elsewhere.threads:
            place.submit(connections.close_all).result()


@pytest.fixture(autouse=True)
def empty_cache(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test that commits: the counted tries of one would refuse the next one."""
    if "transactional_db" not in request.fixturenames and not _commits(request.node):
        yield
        return
    request.getfixturevalue("transactional_db")
    yield
    cache.clear()


def _commits(node: pytest.Item) -> bool:
    marker = node.get_closest_marker("django_db")
    return bool(marker and marker.kwargs.get("transaction"))


@pytest.fixture(scope="session", autouse=True)
def fast_passwords() -> Iterator[None]:
    """Real hashing takes a third of a second a person; what it hashes with is Django's business."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session", autouse=True)
def still_clock_of_tries() -> Iterator[None]:
    """Tries are counted by the minute; a minute that ends in the middle of a test would begin the count anew."""
    now = time.time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: now))
        yield


@pytest.fixture(autouse=True)
def still_clock_of_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes back while a test looks at what is left, however long that takes; and each test begins anew."""
    monkeypatch.setattr(charging, "_alone", Limiter(clock=lambda: 0.0))


@pytest.fixture(scope="session", autouse=True)
def patient_probes() -> Iterator[None]:
    """A busy machine may need more than a second to open a connection. What a probe does then has a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("persona.health.readiness.PATIENCE", DEADLINE)
        yield


@pytest.fixture
def alice(db: None) -> User:
    """Operator of the installation and owner of the project."""
    return User.objects.create_superuser("alice", "alice@example.com", "alice-password")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob", "bob@example.com", "bob-password")


@pytest.fixture
def charlie(db: None) -> User:
    """Signed in, member of nothing."""
    return User.objects.create_user("charlie", "charlie@example.com", "charlie-password")


@pytest.fixture
def project(alice: User, bob: User) -> Project:
    """Alice's shop, with Bob as its editor."""
    project = Project.objects.create(slug="shop", name="Alice's shop", shards=SHARDS)
    roles = {alice: Member.Role.OWNER, bob: Member.Role.EDITOR}
    Member.objects.bulk_create(Member(project=project, user=user, role=role) for user, role in roles.items())
    return project


@pytest.fixture
def other_project(charlie: User) -> Project:
    """Charlie's own project: nothing of Alice's may ever be seen through it."""
    project = Project.objects.create(slug="elsewhere", name="Charlie's place", shards=SHARDS)
    Member.objects.create(project=project, user=charlie, role=Member.Role.OWNER)
    return project
