"""The broker: Redis, RabbitMQ, or without either a queue inside PostgreSQL, made of pgmq's tables and functions."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from django.conf import settings
from django.db import Error, connection, transaction
from pgmq.install import get_embedded_install_sql
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from persona.transports import LOCK

# A lost queue message costs latency and no data (the rows are the message), so publishing need not wait for the disk.
REDIS = ("redis://", "rediss://")
LOOKED_AT = 8  # messages at either end of a queue
UNSYNCED = "-c synchronous_commit=off"
ANSWER_SECONDS = 5.0  # for Redis; more than the second for which it may hold back an answer
VISIBILITY_SECONDS = 600  # a message whose worker died comes back after this long; no task may run longer


class Headers(msgspec.Struct, frozen=True):
    task: str = ""


class Message(msgspec.Struct, frozen=True):
    """What matters of a task as kombu writes it."""

    headers: Headers = Headers()


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
        return {"visibility_timeout": VISIBILITY_SECONDS, **_limits()}
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


def _limits() -> dict[str, Any]:
    """Without them who publishes waits for a quarter of an hour, or for ever, for a Redis that is gone without a word:
    beat is one of those."""
    if not str(settings.CELERY_BROKER_URL).startswith(REDIS):
        return {}
    return {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS, "socket_keepalive": True}


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
    return any(_task_of(text) == task for text in (*newest, *oldest))


def _task_of(text: bytes | str) -> str | None:
    """None: it is no message of ours, and whoever takes it will say so."""
    try:
        return msgspec.json.decode(text, type=Message).headers.task
    except msgspec.DecodeError:
        return None


@lru_cache(maxsize=1)
def _redis(address: str) -> Redis:
    return Redis.from_url(address, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 1))


def install(**_: object) -> None:
    """Make pgmq's schema if the broker is pgmq and it is missing. A receiver of post_migrate, and called by `up`."""
    if not embedded():
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute("select to_regclass('pgmq.meta') is null")
        if cursor.fetchone() == (True,):
            cursor.execute(get_embedded_install_sql())
