"""Plain psycopg cursors on Django's own connection: server-side binding, COPY and pipelines for the bulk paths.

Rows go in as ONE JSON parameter (`json_to_recordset`) or by binary COPY: both cost a fifth of an array per column.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from django.db import connections, transaction
from psycopg import postgres, pq
from psycopg.abc import Buffer
from psycopg.adapt import Dumper

Cursor = psycopg.Cursor[tuple[Any, ...]]


class EncodedJson(Dumper):
    """JSON that is encoded already goes into a jsonb column of a COPY as it is."""

    format = pq.Format.BINARY
    oid = postgres.types["jsonb"].oid

    def dump(self, obj: bytes) -> Buffer:
        return b"\x01" + obj  # the version byte of jsonb's binary form


@contextmanager
def bulk_cursor(alias: str = "default") -> Iterator[Cursor]:
    """A cursor outside of a transaction of its own. Errors come as Django's, their cause is psycopg's."""
    connection = connections[alias]
    with connection.wrap_database_errors:
        connection.ensure_connection()
        with psycopg.Cursor(connection.connection) as cursor:
            yield cursor


@contextmanager
def bulk_transaction(alias: str = "default") -> Iterator[Cursor]:
    """A cursor inside `transaction.atomic()`: committed at the end, rolled back by any exception."""
    with transaction.atomic(using=alias), bulk_cursor(alias) as cursor:
        yield cursor


def copy_rows(cursor: Cursor, statement: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Binary COPY of `rows`: values in the order and of the PostgreSQL types given, jsonb as encoded bytes."""
    cursor.adapters.register_dumper(msgspec.Raw, EncodedJson)
    with cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
