"""Cursors on Django's own connection: server-side binding, COPY and one round trip for many statements.

Rows go in as ONE JSON parameter (`json_to_recordset`) or by binary COPY: both cost a fifth of an array per column.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import psycopg
from django.db import connections, transaction

from ingestion.applying.line import Cursor, line_of

__all__ = ["Cursor"]

HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)  # of a binary COPY: no flags, no extension
TAIL = b"\xff\xff"
ROWS_A_WRITE = 500  # PostgreSQL stores them while the next ones are sent

# A column of the statement that takes a turn's lock. Each of its further statements is planned once for any values, and
# by its index however empty a table looks: a tenth of PostgreSQL's work in a turn was planning the same again, and a
# plan that was made while a queue or a new table held nothing would read all of it ever after.
BY_INDEX = """(select set_config('plan_cache_mode', 'force_generic_plan', true)
    || set_config('enable_seqscan', 'off', true))"""


@contextmanager
def bulk_cursor(alias: str = "default") -> Iterator[Cursor]:
    """A cursor outside of a transaction of its own. Errors come as Django's, their cause is psycopg's."""
    connection = connections[alias]
    with connection.wrap_database_errors:
        connection.ensure_connection()
        yield Cursor(line_of(connection.connection))


@contextmanager
def bulk_transaction(alias: str = "default") -> Iterator[Cursor]:
    """A cursor inside `transaction.atomic()`: committed at the end, rolled back by any exception."""
    with transaction.atomic(using=alias), bulk_cursor(alias) as cursor:
        yield cursor


def array(numbers: Iterable[int]) -> str:
    """Numbers as a parameter for `::bigint[]`: psycopg looks at each element of a list, which costs more than this."""
    return "{" + ",".join(map(str, numbers)) + "}"


@contextmanager
def copy_packed(cursor: Cursor, statement: str, rows: Iterable[bytes]) -> Iterator[None]:
    """Binary COPY of rows that are packed already, in the order of the columns.

    What is done inside is done while PostgreSQL stores the last of them; the connection is busy until the end.
    """
    with psycopg.Cursor(cursor.connection) as own, own.copy(statement) as copy:
        copy.write(HEAD)
        for some in batched(rows, ROWS_A_WRITE):
            copy.write(b"".join(some))
        copy.write(TAIL)
        yield


def batched(rows: Iterable[bytes], size: int) -> Iterator[tuple[bytes, ...]]:
    """`size` of them at a time."""
    left = iter(rows)
    while some := tuple(islice(left, size)):
        yield some


def copy_rows(cursor: Cursor, statement: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Binary COPY of `rows`: values in the order and of the PostgreSQL types given."""
    with psycopg.Cursor(cursor.connection) as own, own.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
