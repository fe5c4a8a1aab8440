"""Cursors of the hot paths, and the one clock that counts: the database's."""

from collections.abc import Iterator
from contextlib import contextmanager

from ingestion.applying.cursors import Cursor, bulk_cursor

NOW = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint"

Rows = Cursor


@contextmanager
def raw_cursor() -> Iterator[Rows]:
    """A cursor on Django's connection: parameters at the server, prepared statements, binary rows."""
    with bulk_cursor() as cursor:
        yield cursor


def clock(cursor: Rows) -> int:
    """The database's clock, ms, rounded down: read it after the claim, so that no event of it is later."""
    cursor.execute(NOW)
    (now,) = cursor.fetchone() or (0,)
    return int(now)
