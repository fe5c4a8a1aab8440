"""Time that passes when a test says so. The hot paths know one clock, that of the database: here it can be put on.

A function of the same name that is found first gives the instant, in this connection alone. Nothing of the product is
replaced.
"""

from collections.abc import Iterator

import pytest
from django.db import connection

CLOCKS = {"clock_timestamp": "volatile", "statement_timestamp": "stable"}
MADE = "".join(
    f"""create function put_on.{name}() returns timestamptz {kind} language sql as
    $$ select pg_catalog.{name}() + current_setting('put_on.by')::interval $$;"""
    for name, kind in CLOCKS.items()
)


class Clock:
    """It goes on by itself, too."""

    def __init__(self) -> None:
        self._put_on = 0
        run("create schema put_on")
        run("select set_config('put_on.by', '0', false)")
        run(MADE)
        run("set search_path = put_on, public, pg_catalog")

    def pass_by(self, ms: int) -> None:
        self._put_on += ms
        run(f"select set_config('put_on.by', '{self._put_on} milliseconds', false)")

    def put_back(self) -> None:
        run("reset search_path")
        run("drop schema put_on cascade")


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def clock(db: None) -> Iterator[Clock]:
    """Of the database, as this test's connection sees it."""
    one = Clock()
    yield one
    one.put_back()
