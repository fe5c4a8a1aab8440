"""Who a request speaks for, and the one query that finds it out."""

from collections.abc import Callable, Sequence
from typing import Any, LiteralString

import msgspec
import psycopg
from django.db import connections

from keys.models import ProjectSettings
from keys.sessions import Session
from keys.tokens import Kind, Mode

DATABASE = "default"
CONNECT_SECONDS = 2  # the least that libpq accepts
STATEMENT_MS = 1_500  # a locked table must not hold up the ring's only thread for longer


class Principal(msgspec.Struct, frozen=True):
    """A good key: its project and what it may do.

    project: the slug; scopes: empty for all; origins: empty for any; expires_at: seconds since 1970;
    session: when a session token stood for the key, to whom it is locked.
    """

    project_id: int
    project: str
    mode: Mode
    key_id: int
    kind: Kind
    lookup: str
    origins: frozenset[str]
    scopes: frozenset[str]
    expires_at: float | None
    options: ProjectSettings
    session: Session | None = None


class Found(msgspec.Struct, frozen=True):
    """A key as the database has it. JSON stays text, so that an unchanged key is recognized without parsing it."""

    key_id: int
    project_id: int
    project: str
    mode: Mode
    kind: Kind
    lookup: str
    digest: bytes
    origins: str
    scopes: str
    expires_at: float | None
    revoked: bool
    options: str

    def principal(self) -> Principal:
        """Raises msgspec.MsgspecError when the stored JSON is not what this release understands."""
        return Principal(
            project_id=self.project_id,
            project=self.project,
            mode=self.mode,
            key_id=self.key_id,
            kind=self.kind,
            lookup=self.lookup,
            origins=msgspec.json.decode(self.origins, type=frozenset[str]),
            scopes=msgspec.json.decode(self.scopes, type=frozenset[str]),
            expires_at=self.expires_at,
            options=msgspec.json.decode(self.options, type=ProjectSettings),
        )


class Snapshot(msgspec.Struct, frozen=True):
    """The rows for some lookups, and the database's clock when it read them (seconds since 1970)."""

    now: float
    keys: dict[str, Found]


Read = Callable[[Sequence[str]], Snapshot]

# The clock comes as a row of its own, so that it is there even when no key is.
_READ = """
    select extract(epoch from clock_timestamp())::float8, k.id, p.id, p.slug, p.mode, k.kind, k.lookup, k.digest,
           k.origins::text, k.scopes::text, extract(epoch from k.expires_at)::float8, k.revoked_at is not null,
           p.settings::text
      from (select 1) as once
      left join (keys_apikey k join keys_project p on p.id = k.project_id) on k.lookup = any(%s)
"""


def _snapshot(rows: Sequence[tuple[Any, ...]]) -> Snapshot:
    found = [Found(*row[1:]) for row in rows if row[1] is not None]
    return Snapshot(rows[0][0], {key.lookup: key for key in found})


def read_here(lookups: Sequence[str]) -> Snapshot:
    """On the calling thread's Django connection. Raises django.db.Error."""
    with connections[DATABASE].cursor() as cursor:
        cursor.execute(_READ, [list(lookups)])
        return _snapshot(cursor.fetchall())


class Line:
    """A connection of the ring's own, opened when needed and again after a failure. For one thread."""

    def __init__(self, dsn: str | None = None) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def read(self, lookups: Sequence[str]) -> Snapshot:
        """Raises psycopg.Error; the next call then starts with a new connection."""
        try:
            connection = self._connection = self._connection or self._open()
            with connection.transaction():
                connection.execute(f"set local statement_timeout = {STATEMENT_MS}")
                return _snapshot(connection.execute(_READ, [list(lookups)]).fetchall())
        except psycopg.Error:
            self.close()
            raise

    def execute(self, statement: LiteralString, values: Sequence[object]) -> None:
        """The same."""
        try:
            connection = self._connection = self._connection or self._open()
            with connection.transaction():
                connection.execute(f"set local statement_timeout = {STATEMENT_MS}")
                connection.execute(statement, values)
        except psycopg.Error:
            self.close()
            raise

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        # tcp_user_timeout: a host that vanished is noticed in 2 s instead of minutes.
        patience: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": CONNECT_SECONDS * 1_000,
            "autocommit": True,
        }
        if self._dsn is not None:
            return psycopg.connect(self._dsn, **patience)
        given = {**connections[DATABASE].get_connection_params(), **patience}
        given.pop("cursor_factory", None)  # Django's own cursor would log and adapt as in a request
        given.pop("context", None)
        return psycopg.connect(**given)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
