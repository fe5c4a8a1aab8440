"""Clean tables after tests that really commit."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import connection

from ingestion.inbox import inbox


@pytest.fixture(scope="session", autouse=True)
def stopped_inbox(django_db_setup: None) -> Iterator[None]:
    """The flusher's own connection would keep the test database from being dropped."""
    yield
    inbox.stop()


@pytest.fixture(autouse=True)
def emptied_bulk_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    """Django's flush leaves unmanaged tables alone: what a committed test wrote there would meet the next one."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or not marker.kwargs.get("transaction"):
        yield
        return
    request.getfixturevalue("transactional_db")
    yield
    tables = [model._meta.db_table for model in apps.get_models() if not model._meta.managed]
    with connection.cursor() as cursor:
        cursor.execute(f"truncate {', '.join(tables)}")
