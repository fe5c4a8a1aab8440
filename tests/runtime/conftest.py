"""A home of one's own, and an installation to be cruel to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, reachable_folder


@pytest.fixture
def home() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder / "home"


@pytest.fixture(scope="session")
def shop() -> Iterator[Stack]:
    """From nothing, with the demo's personas and its traffic, for tests that kill its children. The last of test_up
    ends it."""
    with reachable_folder() as folder, Stack(folder / "home", PERSONA_DEMO_TRAFFIC="1").from_nothing() as running:
        yield running
