"""After every test that touches memberships, the log says exactly what the memberships are."""

from collections.abc import Iterator

import pytest

from keys.models import Project
from tests.segments.living import assert_log_is_state
from tests.segments.timing import clock

__all__ = ["clock"]  # a fixture


@pytest.fixture
def shop(project: Project) -> Iterator[Project]:
    """Alice's project, whose log is checked against its state in the end."""
    yield project
    assert_log_is_state(project)
