"""A home that PostgreSQL's own user can reach (the tests may run as root), and an installation to be cruel to."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack


def reachable_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="persona up "))  # a path with a space: nothing may stumble over it
    folder.chmod(0o755)
    return folder


@pytest.fixture
def home() -> Path:
    return reachable_folder() / "home"


@pytest.fixture(scope="module")
def shop() -> Iterator[Stack]:
    """With the demo's personas and its traffic, for tests that kill its children."""
    with Stack(reachable_folder() / "home", PERSONA_DEMO_TRAFFIC="1") as running:
        yield running
