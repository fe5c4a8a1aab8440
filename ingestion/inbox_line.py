"""The inbox's connection: rows go in as one prepared statement with an array for each column, in one round trip.

It belongs to an event loop and never blocks it: libpq sends what is given and is asked again when the socket has an
answer. So no thread stands between a request and its commit, and nobody waits for Python's lock.
"""

import asyncio
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
NAME = b"inbox"
DATA = (psycopg.DataError, psycopg.IntegrityError)  # the rows are at fault, not the connection

_INT4 = struct.Struct("!i").pack
_ARRAY = struct.Struct("!iiIii").pack  # dimensions, whether any is null, type, how many, index of the first
_NULL = _INT4(-1)
_WIDTHS = {"int4": ("i", 4), "int8": ("q", 8)}  # by type: as `struct` writes it, and how long it is


class Row(msgspec.Struct, frozen=True, gc=False):
    """One accepted request. received_at: ms on this process's clock; body: inflated, as the client wrote it."""

    project_id: int
    batch_id: str
    key_id: int | None
    dialect: str
    n: int
    received_at: int
    body: bytes


def _numbers(kind: str, values: Sequence[int | None]) -> bytes:
    """An array of numbers, in PostgreSQL's binary format."""
    letter, width = _WIDTHS[kind]
    head = _ARRAY(1, 1, postgres.types[kind].oid, len(values), 1)
    if None in values:
        one = struct.Struct(f"!i{letter}").pack
        return head + b"".join(_NULL if value is None else one(width, value) for value in values)
    flat: list[Any] = [width] * (2 * len(values))
    flat[1::2] = values
    return head + struct.pack("!" + f"i{letter}" * len(values), *flat)


def _texts(kind: str, texts: Sequence[bytes]) -> bytes:
    """An array of texts or of bytes."""
    parts = [b""] * (2 * len(texts))
    parts[::2] = map(_INT4, map(len, texts))
    parts[1::2] = texts
    return _ARRAY(1, 1, postgres.types[kind].oid, len(texts), 1) + b"".join(parts)


INSERT = b"""insert into ingestion_batch (project_id, batch_id, key_id, dialect, n, received_at, body)
select * from unnest($1::int8[], $2::text[], $3::int8[], $4::text[], $5::int4[], $6::int8[], $7::bytea[])
"""
BINARY = [pq.Format.BINARY] * 7


Values = list[bytes]  # an array for each column
Sent = asyncio.Future[None]


def encoded(rows: Sequence[Row]) -> Values:
    """What `Line` writes, column by column."""
    return [
        _numbers("int8", [row.project_id for row in rows]),
        _texts("text", [row.batch_id.encode() for row in rows]),
        _numbers("int8", [row.key_id for row in rows]),
        _texts("text", [row.dialect.encode() for row in rows]),
        _numbers("int4", [row.n for row in rows]),
        _numbers("int8", [row.received_at for row in rows]),
        _texts("bytea", [row.body for row in rows]),
    ]


class Line:
    """For one event loop and one statement at a time; opened when needed, and anew after a failure."""

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._sent: Sent | None = None  # resolved by the answer to what was sent last
        self._result: pq.abc.PGresult | None = None

    def send(self, values: Values) -> Sent | None:
        """Send the rows at once, for `written`; None when there is no connection yet."""
        return None if self._connection is None else self._send(values)

    async def written(self, values: Values, sent: Sent | None = None) -> None:
        """Commit the rows, all or none; `sent`: what `send` made of them. Raises psycopg.Error or OSError.

        After a connection lost in the middle nobody knows whether it was committed, so it is done again: the rows
        carry their batch_id, and applying a batch for the second time does nothing.
        """
        if sent is not None:
            try:
                return await sent
            except DATA:
                raise
            except psycopg.Error:
                self.close()
        await self._open()
        try:
            await self._send(values)
        except DATA:
            raise
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """What was sent and not answered fails."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            connection.pgconn.finish()
            self._end(psycopg.OperationalError("the connection was closed"))

    async def _open(self) -> None:
        if self._connection is not None:
            return
        connection = await _connected()
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._socket = connection.pgconn.socket  # libpq forgets it when it is lost
        self._loop.add_reader(self._socket, self._read)
        if settings.PREPARE_STATEMENTS:
            try:
                await self._begin(lambda line: line.send_prepare(NAME, INSERT))
            except psycopg.Error:
                self.close()
                raise

    def _send(self, values: Values) -> Sent:
        if settings.PREPARE_STATEMENTS:
            return self._begin(lambda line: line.send_query_prepared(NAME, values, BINARY))
        return self._begin(lambda line: line.send_query_params(INSERT, values, None, BINARY))

    def _begin(self, send: Callable[[pq.abc.PGconn], object]) -> Sent:
        sent = self._sent = self._loop.create_future()
        self._result = None
        try:
            send(self._line())
            self._flush()
        except psycopg.Error as error:
            self._end(error)
        return sent

    def _flush(self) -> None:
        """Give the socket what it takes; the rest when it takes more."""
        if self._line().flush():
            self._loop.add_writer(self._socket, self._flush_on)

    def _flush_on(self) -> None:
        try:
            self._loop.remove_writer(self._socket)
            self._flush()
        except psycopg.Error:
            self.close()

    def _read(self) -> None:
        """The socket has something: the answer, or the news that the server is gone."""
        line = self._line()
        try:
            line.consume_input()
            while self._sent is not None and not line.is_busy():
                result = line.get_result()
                if result is None:
                    self._answered()
                    return
                self._result = result
        except psycopg.Error:
            self.close()

    def _answered(self) -> None:
        result = self._result
        if result is None:
            self._end(psycopg.OperationalError("the server said nothing"))
        elif result.status == pq.ExecStatus.COMMAND_OK:
            self._end()
        else:
            self._end(error_from_result(result))

    def _end(self, error: psycopg.Error | None = None) -> None:
        sent, self._sent, self._result = self._sent, None, None
        if sent is None or sent.done():
            return
        if error is None:
            sent.set_result(None)
        else:
            sent.set_exception(error)

    def _line(self) -> pq.abc.PGconn:
        if self._connection is None:
            raise psycopg.OperationalError("the connection is closed")
        return self._connection.pgconn


async def _connected() -> psycopg.AsyncConnection[Any]:
    given = connections[settings.INBOX_ALIAS].get_connection_params()
    given.pop("cursor_factory", None)  # Django's own would log every statement of a debug run
    given.pop("context", None)
    # autocommit: the statement is its own transaction. tcp_user_timeout: a vanished host is noticed.
    given = {"tcp_user_timeout": STATEMENT_MS, **given, "autocommit": True}
    connection = await psycopg.AsyncConnection.connect(**given)
    await connection.execute(f"set statement_timeout = {STATEMENT_MS}")
    connection.pgconn.nonblocking = 1
    return connection
