"""The inbox's connection: rows go in by binary COPY, a transaction each time.

It belongs to an event loop and never blocks it: libpq sends what is given and is asked again when the socket has an
answer. So no thread stands between a request and its commit, and nobody waits for Python's lock.
"""

import asyncio
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
from django.conf import settings
from django.db import connections
from psycopg import pq
from psycopg.errors import error_from_result

STATEMENT_MS = 10_000  # one that takes longer is not going to end
ANSWER = STATEMENT_MS / 1_000 + 2  # seconds; a server that has not even refused by then is lost
DATA = (psycopg.DataError, psycopg.IntegrityError)  # the rows are at fault, not the connection

# In PostgreSQL's binary format a row is the number of its columns, then each behind its length; none has length -1.
_START = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END = b"\xff\xff"
_TO_BATCH_ID = struct.Struct("!hiqi").pack
_TO_DIALECT = struct.Struct("!iqi").pack
_TO_DIALECT_WITHOUT_KEY = struct.Struct("!ii").pack
_TO_BODY = struct.Struct("!iiiqi").pack
_COLUMNS, _INT4, _INT8, _NULL = 7, 4, 8, -1  # lengths
COPY = b"""copy ingestion_batch (project_id, batch_id, key_id, dialect, n, received_at, body)
from stdin (format binary)"""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One accepted request. received_at: ms on this process's clock; body: inflated, as the client wrote it."""

    project_id: int
    batch_id: str
    key_id: int | None
    dialect: str
    n: int
    received_at: int
    body: bytes


Sent = asyncio.Future[None]


def encoded(rows: Sequence[Row]) -> bytes:
    """What `Line` writes. Whatever the rows hold: what cannot be stored is for PostgreSQL to say."""
    parts = [_START]
    for row in rows:
        batch_id, dialect, key = row.batch_id.encode(), row.dialect.encode(), row.key_id
        parts += (
            _TO_BATCH_ID(_COLUMNS, _INT8, row.project_id, len(batch_id)),
            batch_id,
            _TO_DIALECT_WITHOUT_KEY(_NULL, len(dialect)) if key is None else _TO_DIALECT(_INT8, key, len(dialect)),
            dialect,
            _TO_BODY(_INT4, row.n, _INT8, row.received_at, len(row.body)),
            row.body,
        )
    parts.append(_END)
    return b"".join(parts)


class Line:
    """For one event loop and one statement at a time; opened when needed, and anew after a failure."""

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._sent: Sent | None = None  # resolved by the answer to what was sent last
        self._deadline: asyncio.TimerHandle | None = None  # of that answer
        self._rows = b""  # until the server waits for them
        self._result: pq.abc.PGresult | None = None

    def send(self, rows: bytes) -> Sent | None:
        """Send the rows at once, for `written`; None when there is no connection yet."""
        return None if self._connection is None else self._send(rows)

    async def written(self, rows: bytes, sent: Sent | None = None) -> None:
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
            await self._send(rows)
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
        if self._connection is None:
            self._connection = connection = await _connected()
            self._loop = asyncio.get_running_loop()
            self._socket = connection.pgconn.socket  # libpq forgets it when it is lost
            self._loop.add_reader(self._socket, self._read)

    def _send(self, rows: bytes) -> Sent:
        sent = self._sent = self._loop.create_future()
        self._deadline = self._loop.call_later(ANSWER, self.close)
        self._rows, self._result = rows, None
        try:
            self._line().send_query(COPY)
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
            # Again: the first may have found the last words of the server, and libuv tells of an error only once.
            line.consume_input()
            while self._sent is not None and not line.is_busy():
                result = line.get_result()
                if result is None:
                    self._answered()
                elif result.status == pq.ExecStatus.COPY_IN:
                    self._copy(line)
                else:
                    self._result = result
        except psycopg.Error:
            self.close()

    def _copy(self, line: pq.abc.PGconn) -> None:
        if not (line.put_copy_data(self._rows) and line.put_copy_end()):
            raise psycopg.OperationalError("there is no memory to send the rows")
        self._rows = b""
        self._flush()

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
        if self._deadline is not None:
            self._deadline.cancel()
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
    try:
        async with asyncio.timeout(ANSWER):  # a pooler lets in whom it has no server for
            await connection.execute(f"set statement_timeout = {STATEMENT_MS}")
    except BaseException:
        await connection.close()
        raise
    connection.pgconn.nonblocking = 1
    return connection
