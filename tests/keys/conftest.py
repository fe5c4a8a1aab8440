"""Keys to test with, and rings of their own instead of the process's."""

import time
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User

from keys.auth import KeyRing
from keys.models import ApiKey, Project
from keys.services import issue_key

Wait = Callable[[Callable[[], bool]], None]


@pytest.fixture
def wait() -> Wait:
    """Until a condition holds; fails after 10 seconds."""

    def until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "the condition did not become true"
            time.sleep(0.01)

    return until


@pytest.fixture
def secret_key(project: Project, alice: User) -> tuple[ApiKey, str]:
    return issue_key(project=project, kind="sk", name="server", actor=alice)


@pytest.fixture
def public_key(project: Project, alice: User) -> tuple[ApiKey, str]:
    return issue_key(project=project, kind="pk", name="shop", actor=alice, origins=["https://shop.example"])


@pytest.fixture
def ring() -> Iterator[KeyRing]:
    """What another process would have."""
    ring = KeyRing(every=0.05)
    yield ring
    ring.close()
