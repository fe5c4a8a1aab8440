"""An asynchronous reader of the main database for the web process's event loop; Django's own connections block."""

import asyncio
from collections.abc import Collection
from typing import Any

import psycopg
from django.db import connections

from persona.lib.outage import Outage
from segments import log

LOST = (psycopg.OperationalError, psycopg.InterfaceError, OSError, TimeoutError)
PATIENCE = 10.0  # seconds for one statement: all of ours are short walks along a key
PAUSES = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)  # the first: a connection found dead says little about the database

# Options that only Django understands.
NOT_LIBPQ = frozenset({"assume_role", "isolation_level", "pool", "server_side_binding"})
# A peer that is gone without a word is noticed within half a minute.
KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

SLUGS = """
select slug, id from segments_persona where project_id = %(project)s and slug = any(%(slugs)s) and deleted_at is null
"""

PROFILES = """
select external_id, profile_id from ingestion_alias
where project_id = %(project)s and kind = 'user' and external_id = any(%(users)s)
"""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


async def connect() -> Connection:
    """A new connection to the main database, in autocommit mode."""
    given = connections["default"].settings_dict
    options = {key: value for key, value in given["OPTIONS"].items() if key not in NOT_LIBPQ}
    named = {
        "dbname": given["NAME"],
        "user": given["USER"],
        "password": given["PASSWORD"],
        "host": given["HOST"],
        "port": given["PORT"],
    }
    set_ones = {key: str(value) for key, value in named.items() if value}
    return await psycopg.AsyncConnection.connect(**{**KEEPALIVE, **set_ones, **options}, autocommit=True)


class Reader:
    """One connection, made again whenever it breaks; statements take turns.

    Every method waits for as long as the database is away: set a timeout around it where that is too long.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._outage = Outage("stream.database")

    async def after(
        self, project_id: int, seq: int, personas: Collection[int] | None, limit: int, profile_id: int | None = None
    ) -> list[log.LogRow]:
        """The asynchronous twin of segments.log.after."""
        rows = await self.rows(*log.after_statement(project_id, seq, personas, limit, profile_id))
        return [log.LogRow(*row) for row in rows]

    async def bounds(self, project_id: int) -> tuple[int, int]:
        """The asynchronous twin of segments.log.bounds."""
        rows = await self.rows(log.BOUNDS, {"project": project_id})
        return (rows[0][0], rows[0][1]) if rows else log.NOTHING_YET

    async def personas(self, project_id: int, slugs: Collection[str]) -> dict[str, int]:
        """The ids of those personas that exist, by slug."""
        return dict(await self.rows(SLUGS, {"project": project_id, "slugs": list(slugs)}))

    async def profiles(self, project_id: int, user_ids: Collection[str]) -> dict[str, int]:
        """The profiles of those users that have one, by user id."""
        return dict(await self.rows(PROFILES, {"project": project_id, "users": list(user_ids)}))

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def rows(self, sql: str, params: dict[str, Any]) -> list[Any]:
        """The rows of any short statement that may be run twice."""
        async with self._turn:
            attempt = 0
            while True:
                try:
                    rows = await self._attempt(sql, params)
                except LOST as error:
                    if attempt:
                        self._outage.failed(error)
                    await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
                    attempt += 1
                else:
                    self._outage.over()
                    return rows

    async def _attempt(self, sql: str, params: dict[str, Any]) -> list[Any]:
        try:
            async with asyncio.timeout(PATIENCE):
                if self._connection is None:
                    self._connection = await connect()
                cursor = await self._connection.execute(sql, params)
                return await cursor.fetchall()
        except BaseException:
            # Whatever happened, cancellation included, nobody shall find an answer that was meant for another.
            await self.close()
            raise
