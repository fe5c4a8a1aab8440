"""The queue inside PostgreSQL, for installations without Redis: pgmq's tables and functions, and kombu's way there."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import connection
from pgmq.install import get_embedded_install_sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

# A lost queue message costs latency and no data (the rows are the message), so publishing need not wait for the disk.
UNSYNCED = "-c synchronous_commit=off"
VISIBILITY_SECONDS = 600  # a message whose worker died comes back after this long; no task may run longer


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
