"""The statements of a turn, spoken through libpq on a connection of psycopg's.

A turn is some thirty small statements, and psycopg's own cursors were up to half of its Python: they find out anew of
each what its parameters and columns are, and take every answer through a chain of generators. Here that is remembered
with the connection. Parameters and rows are still psycopg's: whatever it can adapt may be given, and comes back.
"""

import re
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import lru_cache
from typing import Any, NamedTuple, Self

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result

KEPT = 500  # statements a connection: as many prepared, and as many of which the uses are counted
PLACE = re.compile(r"%(?:%|(?:\((\w+)\))?([sbt]))")
FORMATS = {"s": PyFormat.AUTO, "b": PyFormat.BINARY, "t": PyFormat.TEXT}
BEGIN = b"begin"
GIVEN = frozenset({pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY})
COPYING = frozenset({pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT})
OUTDATED = frozenset({"26000", "0A000"})  # what was prepared is gone; a table was altered, so it gives other columns

Connection = psycopg.Connection[Any]
Parameters = Sequence[Any] | Mapping[str, Any]
Key = tuple[bytes, tuple[int, ...]]  # of a statement: it is prepared for parameters of certain types


class Text(NamedTuple):
    """A statement as PostgreSQL takes it, the names of its parameters (None: they come in order) and their formats."""

    sql: bytes
    names: tuple[str, ...] | None
    formats: tuple[PyFormat, ...]


@lru_cache(maxsize=KEPT)
def text_of(statement: str) -> Text:
    """Psycopg's way to write parameters into PostgreSQL's; one that is named twice is sent once."""
    places: dict[str, int] = {}
    formats: list[PyFormat] = []

    def place(found: re.Match[str]) -> str:
        name, kind = found.groups()
        if kind is None:
            return "%"
        key = name or f"{len(places)}"
        if key not in places:
            places[key] = len(places) + 1
            formats.append(FORMATS[kind])
        return f"${places[key]}"

    sql = PLACE.sub(place, statement).encode()
    named = any(not key.isdigit() for key in places)
    return Text(sql, tuple(places) if named else None, tuple(formats))


def _in_order(text: Text, parameters: Parameters) -> Sequence[Any]:
    given = [parameters[name] for name in text.names or ()] if isinstance(parameters, Mapping) else parameters
    if len(given) != len(text.formats):
        raise psycopg.ProgrammingError(f"{len(text.formats)} parameters are wanted, and {len(given)} given")
    return given


class Line:
    """One connection. What is said inside of `together` goes there, and comes back, at once.

    An error of a statement leaves the connection as it is; whatever else comes in between closes it, for nobody knows
    what of the answer is still on its way.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pgconn = connection.pgconn
        self._adapter = Transformer(connection)
        self._uses: dict[Key, int] = {}
        self._names: dict[Key, bytes] = {}
        self._named = 0
        self.least = connection.prepare_threshold
        # With a rollback psycopg drops all that is prepared, ours too, when anything was by itself.
        connection.prepare_threshold = None
        self._asked: list[Cursor | Key | None] = []  # who waits for the answers, in their order; what is being prepared
        self._depth = 0
        self._socket = select.poll()
        self._socket.register(self._pgconn.socket, select.POLLIN)

    @contextmanager
    def together(self) -> Iterator[None]:
        """One round trip for all that is executed inside. Their rows are there at the end."""
        self._depth += 1
        try:
            yield
        except BaseException:
            with suppress(psycopg.Error):  # what came first is raised; the answers to what was sent are out of the way
                self._end()
            raise
        self._end()

    def execute(self, cursor: "Cursor", statement: str, parameters: Parameters, prepare: bool) -> None:
        text = text_of(statement)
        given = _in_order(text, parameters)
        adapter = self._adapter
        values = adapter.dump_sequence(given, text.formats)
        types, formats = adapter.types or (), adapter.formats or ()
        try:
            self._begin()
            self._send((text.sql, types), values, formats, prepare=prepare)
        except BaseException:
            self._pgconn.finish()
            raise
        self._asked.append(cursor)
        if not self._depth:
            self._answered()

    def hurry(self) -> None:
        """Have PostgreSQL begin with what was said so far."""
        self._pgconn.send_flush_request()
        self._pgconn.flush()

    def rows(self, result: pq.abc.PGresult) -> list[tuple[Any, ...]]:
        adapter = self._adapter
        adapter.set_pgresult(result)
        return adapter.load_rows(0, result.ntuples, tuple)

    def _begin(self) -> None:
        """The first of what goes together; of a transaction too, if Django has begun one."""
        if self._asked:
            return
        self._pgconn.enter_pipeline_mode()
        if not self.connection.autocommit and self._pgconn.transaction_status == pq.TransactionStatus.IDLE:
            self._send((BEGIN, ()), [], [], prepare=True)
            self._asked.append(None)

    def _send(self, key: Key, values: Sequence[Any], formats: Sequence[int], *, prepare: bool) -> None:
        name = self._name(key) if prepare else None
        if name is None:
            self._pgconn.send_query_params(*key[:1], values, key[1], formats, pq.Format.BINARY)
        else:
            self._pgconn.send_query_prepared(name, values, formats, pq.Format.BINARY)

    def _name(self, key: Key) -> bytes | None:
        """Of the prepared statement, from as many uses on as psycopg is told to wait for."""
        name = self._names.get(key)
        if name is None and self.least is not None and len(self._names) < KEPT:
            self._uses[key] = self._uses.pop(key, 0) + 1
            if self._uses[key] > self.least:
                del self._uses[key]
                self._named += 1
                name = self._names[key] = b"line_%d" % self._named
                self._pgconn.send_prepare(name, *key)
                self._asked.append(key)
            elif len(self._uses) > KEPT:
                del self._uses[next(iter(self._uses))]  # that has not been used for the longest time
        return name

    def _end(self) -> None:
        self._depth -= 1
        if self._asked and not self._depth:
            self._answered()

    def _answered(self) -> None:
        asked, self._asked = self._asked, []
        try:
            self._pgconn.pipeline_sync()
            results = [*self._results()]
            self._pgconn.exit_pipeline_mode()
        except BaseException:
            self._pgconn.finish()
            raise
        failed: pq.abc.PGresult | None = None
        for one, result in zip(asked, results, strict=True):
            if result.status not in GIVEN:
                failed = failed or result
                if isinstance(one, tuple):
                    del self._names[one]
            elif isinstance(one, Cursor):
                one.result = result
        if failed is not None:
            error = error_from_result(failed, self.connection.info.encoding)
            if error.sqlstate in OUTDATED:
                self._names.clear()
            raise error

    def _results(self) -> Iterator[pq.abc.PGresult]:
        """One of each statement."""
        line, socket = self._pgconn, self._socket
        while True:
            while line.flush() or line.is_busy():
                socket.modify(line.socket, select.POLLIN | select.POLLOUT if line.flush() else select.POLLIN)
                socket.poll()
                line.consume_input()
            result = line.get_result()
            if result is None:
                continue
            status = result.status
            if status == pq.ExecStatus.PIPELINE_SYNC:
                return
            if status in COPYING:  # libpq would give the same result for ever
                raise psycopg.NotSupportedError("COPY is for a cursor of psycopg's")
            yield result


class Cursor:
    """What `Line` has answered to one statement: of psycopg's cursor what a turn uses of it."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.result: pq.abc.PGresult | None = None

    @property
    def connection(self) -> Connection:
        return self._line.connection

    @property
    def rowcount(self) -> int:
        """Rows that the statement gave or changed; -1 before any."""
        return -1 if self.result is None else self.result.command_tuples or 0

    def execute(self, statement: str, parameters: Parameters = (), *, prepare: bool = True) -> Self:
        """prepare: False for one whose plan depends on its values."""
        self.result = None
        self._line.execute(self, statement, parameters, prepare)
        return self

    def fetchall(self) -> list[tuple[Any, ...]]:
        if self.result is None:
            raise psycopg.ProgrammingError("nothing was asked, or the answer is not there yet")
        return self._line.rows(self.result)

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first row."""
        return next(iter(self.fetchall()), None)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.fetchall())

    def together(self) -> AbstractContextManager[None]:
        """One round trip for all statements inside, of any cursor of this connection."""
        return self._line.together()

    def hurry(self) -> None:
        """Have PostgreSQL begin with what was said so far, inside of `together`."""
        self._line.hurry()


def line_of(connection: Connection) -> Line:
    """The same for as long as the connection lasts: it is kept in it, and goes with it."""
    kept = vars(connection)
    line: Line = kept.get("line") or kept.setdefault("line", Line(connection))
    return line
