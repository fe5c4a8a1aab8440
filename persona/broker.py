"""The queue inside PostgreSQL, for installations without Redis: pgmq's tables and functions, and kombu's way there."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec
from django.conf import settings
from django.db import Error, connection
from kombu.transport import TRANSPORT_ALIASES, pgmq
from pgmq.install import get_embedded_install_sql
from psycopg import OperationalError, sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

# A lost queue message costs latency and no data (the rows are the message), so publishing need not wait for the disk.
REDIS = ("redis://", "rediss://")
LOOKED_AT = 8  # messages at either end of a queue
UNSYNCED = "-c synchronous_commit=off"
VISIBILITY_SECONDS = 600  # a message whose worker died comes back after this long; no task may run longer


class Headers(msgspec.Struct, frozen=True):
    task: str = ""


class Message(msgspec.Struct, frozen=True):
    """What matters of a task as kombu writes it."""

    headers: Headers = Headers()


class Channel(pgmq.Channel):
    """Forgets a message whose acknowledgement fails, which then comes back in time. Kombu's own counts it as being
    worked on for ever, and with that a worker whose PostgreSQL ended at the wrong moment takes no other message."""

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        try:
            super().basic_ack(delivery_tag, multiple)  # type: ignore[no-untyped-call]  # kombu carries no types
        except Exception:
            self.qos.ack(delivery_tag)
            raise


class Waiter(pgmq._NotifyWaiter):
    """Waits for a message until the worker is asked to stop. Kombu's own waits on for two seconds, and Celery asks it
    once more after that: a stop took all the time that the supervisor gives, and ended with SIGKILL."""

    leaving = False

    def wait(self, timeout: float | None) -> bool:
        """Whether something has come. Raises TimeoutError as soon as this worker takes no more."""
        came = not self.leaving and super().wait(timeout)
        if self.leaving:
            raise TimeoutError
        return bool(came)

    def leave(self) -> None:
        """Called in a signal handler, whatever the process was doing: it takes no lock, and hangs up on PostgreSQL
        instead of asking it for a notification."""
        self.leaving = True
        with suppress(OSError, OperationalError):  # the line is down already
            if line_to := getattr(self, "_conn", None):
                with socket.socket(fileno=os.dup(line_to.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)


class Transport(pgmq.Transport):
    Channel = Channel

    def _get_notify_waiter(self) -> pgmq._NotifyWaiter:
        if self._notify_waiter is None:
            waiter = Waiter(self._get_pgmq_client().config.dsn)
            _waiters.append(waiter)
            self._notify_waiter = waiter
        return self._notify_waiter

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        if any(waiter.leaving for waiter in _waiters):
            raise TimeoutError
        super().drain_events(connection, timeout)  # type: ignore[no-untyped-call]  # kombu carries no types


_waiters: list[Waiter] = []  # of this process


def leave(**_: object) -> None:
    """This worker has been asked to stop: it takes no message any more, and waits for none."""
    for waiter in _waiters:
        waiter.leave()


TRANSPORT_ALIASES["pgmq"] = f"{__name__}:Transport"


def embedded() -> bool:
    """Is the broker pgmq in the main database?"""
    return str(settings.CELERY_BROKER_URL).startswith("pgmq:")


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def conn_string(database: Mapping[str, Any]) -> str:
    """The address of a Django database for pgmq, as libpq's key=value words.

    pgmq takes the words apart and joins five of them again without quoting. So each value goes in already quoted,
    and what has no word of its own there (TLS, the commit mode, several hosts) rides behind the password.
    """
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    options = {key: str(value) for key, value in database["OPTIONS"].items() if key in known}  # the rest is Django's
    options["options"] = f"{options.get('options', '')} {UNSYNCED}".strip()
    behind = " ".join(f"{key}={_quoted(value)}" for key, value in options.items())
    return make_conninfo(
        host=_quoted(database["HOST"] or "/var/run/postgresql"),
        port=_quoted(str(database["PORT"] or 5432)),
        dbname=_quoted(database["NAME"]),
        user=_quoted(database["USER"]) if database["USER"] else "''",
        password=f"{_quoted(database['PASSWORD'])} {behind}",
    )


def transport_options() -> dict[str, Any]:
    """Kombu's options for the broker that is configured. The defaults of pgmq would wait half a second for a task."""
    if not embedded():
        return {"visibility_timeout": VISIBILITY_SECONDS}
    return {
        "conn_string": conn_string(connection.settings_dict),
        "init_extension": False,
        "pool_size": 4,
        "pool_timeout": 5,
        "visibility_timeout": VISIBILITY_SECONDS,
        "wait_time_seconds": 0,
        "polling_interval": 1.0,
        "notify_throttle_interval_ms": 0,
        # Only a worker listens (persona.celery turns it on there): a publisher that listens and never reads
        # would in the end fill PostgreSQL's notification queue.
        "use_notify": False,
    }


# The notification is the one that an inserted message would make: a worker that missed it for the message that waits
# would read that message a second late.
REMIND = """
select pg_notify('pgmq.q_' || %(queue)s || '.INSERT', '') from pgmq.{table}
where vt <= clock_timestamp() and message -> 'headers' ->> 'task' = %(task)s limit 1
"""


def reminded(queue: str, task: str) -> bool:
    """Whether such a task lies in the queue and nobody has taken it; if so, the workers have been told once more.

    Kombu reads one message a notification, and a worker that is busy or stopped misses some: publishing one each
    time, the queue would grow for as long as the load lasts.
    """
    statement = sql.SQL(REMIND).format(table=sql.Identifier(f"q_{queue}"))
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"queue": queue, "task": task})
            return cursor.fetchone() is not None
    except Error:  # no such queue yet, or no database: publishing makes the one, and meets with the other
        connection.close()
        return False


def waits(queue: str, task: str) -> bool:
    """Whether such a task lies in the queue and nobody has taken it: another would find nothing to do."""
    if embedded():
        return reminded(queue, task)
    address = str(settings.CELERY_BROKER_URL)
    return address.startswith(REDIS) and _listed(address, queue, task)


def _listed(address: str, queue: str, task: str) -> bool:
    """The same in Redis, where a queue is a list of JSON; among the newest and the oldest of it."""
    try:
        client = _redis(address)
        newest, oldest = client.lrange(queue, 0, LOOKED_AT), client.lrange(queue, -LOOKED_AT, -1)
    except RedisError:  # publishing meets with it too, and says so
        return False
    return any(msgspec.json.decode(text, type=Message).headers.task == task for text in (*newest, *oldest))


@lru_cache(maxsize=1)
def _redis(address: str) -> Redis:
    return Redis.from_url(address, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 1))


def install(**_: object) -> None:
    """Make pgmq's schema if the broker is pgmq and it is missing. A receiver of post_migrate, and called by `up`."""
    if not embedded():
        return
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(hashtext('persona.broker'))")
        try:
            cursor.execute("select to_regclass('pgmq.meta') is null")
            if cursor.fetchone() == (True,):
                cursor.execute(get_embedded_install_sql())
        finally:
            cursor.execute("select pg_advisory_unlock(hashtext('persona.broker'))")
