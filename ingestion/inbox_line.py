"""The inbox's connection: rows go in as one prepared statement with an array for each column, in one round trip.

libpq does the whole of it without Python's lock. A COPY takes two round trips and several turns at that lock, each of
which waits until the event loop has nothing to do.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg
from django.conf import settings
from django.db import connections
from psycopg import postgres, pq
from psycopg.errors import error_from_result

STATEMENT_MS = 10_000  # one that takes longer is not going to end
TRIES = 2  # a connection that broke while idle is noticed only by the first use
NAME = b"inbox"

_LENGTH = struct.Struct("!i").pack
_INT4 = struct.Struct("!i").pack
_INT8 = struct.Struct("!q").pack
_ARRAY = struct.Struct("!iiIii").pack  # dimensions, whether any is null, type, how many, index of the first
_NULL = _LENGTH(-1)


class Row(msgspec.Struct, frozen=True, gc=False):
    """One accepted request. received_at: ms on this process's clock; body: inflated, as the client wrote it."""

    project_id: int
    batch_id: str
    key_id: int | None
    dialect: str
    n: int
    received_at: int
    body: bytes


class Column(msgspec.Struct, frozen=True):
    """A column of the inbox, and how its values are written in PostgreSQL's binary format."""

    name: str
    kind: str
    encoded: Callable[[Any], bytes]

    def array(self, rows: Sequence[Row]) -> bytes:
        """The values of all rows as one array."""
        parts = [_ARRAY(1, 1, postgres.types[self.kind].oid, len(rows), 1)]
        for row in rows:
            value = getattr(row, self.name)
            if value is None:
                parts.append(_NULL)
            else:
                text = self.encoded(value)
                parts += (_LENGTH(len(text)), text)
        return b"".join(parts)


COLUMNS = (
    Column("project_id", "int8", _INT8),
    Column("batch_id", "text", str.encode),
    Column("key_id", "int8", _INT8),
    Column("dialect", "text", str.encode),
    Column("n", "int4", _INT4),
    Column("received_at", "int8", _INT8),
    Column("body", "bytea", bytes),
)
INSERT = b"""insert into ingestion_batch (project_id, batch_id, key_id, dialect, n, received_at, body)
select * from unnest($1::int8[], $2::text[], $3::int8[], $4::text[], $5::int4[], $6::int8[], $7::bytea[])
"""
BINARY = [pq.Format.BINARY] * len(COLUMNS)


class Line:
    """For one thread; opened when needed, and anew after a failure."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None

    def write(self, rows: Sequence[Row]) -> None:
        """Commit `rows`, all or none. Raises psycopg.Error.

        After a connection lost in the middle nobody knows whether it was committed, so it is done again: the rows
        carry their batch_id, and applying a batch for the second time does nothing.
        """
        values = [column.array(rows) for column in COLUMNS]
        for left in reversed(range(TRIES)):
            try:
                self._execute(values)
                return
            except (psycopg.DataError, psycopg.IntegrityError):
                raise
            except psycopg.Error:
                self.close()
                if not left:
                    raise

    def _execute(self, values: list[bytes]) -> None:
        connection = self._connection = self._connection or _connect()
        if settings.PREPARE_STATEMENTS:
            result = connection.pgconn.exec_prepared(NAME, values, BINARY)
        else:
            result = connection.pgconn.exec_params(INSERT, values, None, BINARY)
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise error_from_result(result)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect() -> psycopg.Connection[Any]:
    given = connections[settings.INBOX_ALIAS].get_connection_params()
    given.pop("cursor_factory", None)  # Django's own would log every statement of a debug run
    given.pop("context", None)
    # autocommit: the statement is its own transaction. tcp_user_timeout: a vanished host is noticed.
    connection = psycopg.connect(**{"tcp_user_timeout": STATEMENT_MS, **given, "autocommit": True})
    connection.execute(f"set statement_timeout = {STATEMENT_MS}")
    if settings.PREPARE_STATEMENTS:
        result = connection.pgconn.prepare(NAME, INSERT)
        if result.status != pq.ExecStatus.COMMAND_OK:
            connection.close()
            raise error_from_result(result)
    return connection
