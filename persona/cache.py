"""Django's cache on one UNLOGGED PostgreSQL table, for installations without Redis; and beside a queue in Redis.

django-ratelimit needs an atomic `incr` that all processes share; Django's own database cache has none.
Rows survive a clean stop and vanish in a crash, as a cache's may.
"""

import pickle
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.redis import RedisCache
from django.db import connections

_EXPIRES = "clock_timestamp() + make_interval(secs => %s)"


class PostgresCache(BaseCache):
    """LOCATION is the table's name (made by migration keys.0002). Integers are kept as such, for `incr`."""

    def __init__(self, table: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.table = table

    def _seconds(self, timeout: Any) -> float | None:
        chosen = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return None if chosen is None else float(chosen)

    def _row(self, sql: str, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        with connections["default"].cursor() as cursor:
            cursor.execute(sql.replace("CACHE", self.table), arguments)
            row: tuple[Any, ...] | None = cursor.fetchone() if cursor.description else None
        return row

    def _write(self, key: str, value: Any, timeout: Any, version: int | None, condition: str) -> bool:
        number, pickled = (value, None) if type(value) is int else (None, pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        sql = (
            f"insert into CACHE as c (key, number, pickled, expires_at) values (%s, %s, %s, {_EXPIRES})"  # noqa: S608 - constants
            " on conflict (key) do update set number = excluded.number, pickled = excluded.pickled,"
            f" expires_at = excluded.expires_at where {condition} returning 1"
        )
        name = self.make_and_validate_key(key, version)
        return self._row(sql, (name, number, pickled, self._seconds(timeout))) is not None

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._write(key, value, timeout, version, "c.expires_at < clock_timestamp()")

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._write(key, value, timeout, version, "true")

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        row = self._row(
            "select number, pickled from CACHE"
            " where key = %s and (expires_at is null or expires_at > clock_timestamp())",
            (self.make_and_validate_key(key, version),),
        )
        if row is None:
            return default
        return row[0] if row[1] is None else pickle.loads(row[1])  # noqa: S301 - only we write this table

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        sql = f"update CACHE set expires_at = {_EXPIRES} where key = %s returning 1"  # noqa: S608 - constants
        return self._row(sql, (self._seconds(timeout), self.make_and_validate_key(key, version))) is not None

    def delete(self, key: str, version: int | None = None) -> bool:
        return (
            self._row("delete from CACHE where key = %s returning 1", (self.make_and_validate_key(key, version),))
            is not None
        )

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        row = self._row(
            "update CACHE set number = number + %s"
            " where key = %s and (expires_at is null or expires_at > clock_timestamp()) returning number",
            (delta, self.make_and_validate_key(key, version)),
        )
        if row is None:
            raise ValueError(f"Key {key!r} not found")
        return int(row[0])

    def clear(self) -> None:
        self._row("delete from CACHE", ())

    def prune(self) -> None:
        """Drop what has expired; beat calls it now and then."""
        self._row("delete from CACHE where expires_at < clock_timestamp()", ())


class NeighborlyRedisCache(RedisCache):
    """In a Redis that also holds the queue and other things: `clear` takes away what stands under KEY_PREFIX alone."""

    def clear(self) -> None:
        client = self._cache.get_client(None, write=True)
        for key in client.scan_iter(f"{self.key_prefix}:*", count=1_000):
            client.unlink(key)
