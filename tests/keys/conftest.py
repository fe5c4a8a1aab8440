"""Keys to test with, and rings of their own instead of the process's."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User

from keys.auth import KeyRing
from keys.models import ApiKey, Project
from keys.services import issue_key


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
