"""The inbox's thread ends with the run."""

from collections.abc import Iterator

import pytest

from ingestion.inbox import inbox


@pytest.fixture(scope="session", autouse=True)
def stopped_inbox(django_db_setup: None) -> Iterator[None]:
    """The flusher's own connection would keep the test database from being dropped."""
    yield
    inbox.stop()
