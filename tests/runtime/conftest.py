"""A home that PostgreSQL's own user can reach (the tests may run as root), and an installation to be cruel to."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stack import Stack


@contextmanager
def reachable_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="persona up "))  # a path with a space: nothing may stumble over it
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder / "home"


@pytest.fixture(scope="module")
def shop() -> Iterator[Stack]:
    """With the demo's personas and its traffic, for tests that kill its children."""
    with reachable_folder() as folder, Stack(folder / "home", PERSONA_DEMO_TRAFFIC="1") as running:
        yield running
