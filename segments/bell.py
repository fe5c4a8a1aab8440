"""The bell: "project p has changes up to n", from whoever writes the log to whoever follows it.

It carries nothing that is not in the log. A bell that is lost costs its listeners a heartbeat, never a change.
`segments.streaming.line` hears it.
"""

from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django_eventstream import send_event
from redis import RedisError

from persona.lib.outage import Outage

NOTIFICATION = "persona_bell"  # of PostgreSQL
REDIS_CHANNEL = "events_channel"  # where send_event publishes
PREFIX = "bell-"  # of its channel for a project

# A column for the statement that writes the log: one statement less than `ring`.
RUNG = f"case when %(ring)s then pg_notify('{NOTIFICATION}', concat(%(project)s::bigint, ':', last_seq)) end"

_publishing = Outage("bell.publishing")


def in_database() -> bool:
    """Whether PostgreSQL carries the bell."""
    return not settings.REDIS_URL


def ring(project_id: int, seq: int) -> None:
    """When the transaction at hand commits, say that the project's log now reaches to `seq`."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("bell.ring belongs into the transaction that writes the log")
    if in_database():
        with connection.cursor() as cursor:
            cursor.execute("select pg_notify(%s, %s)", [NOTIFICATION, f"{project_id}:{seq}"])
    else:
        transaction.on_commit(partial(_publish, project_id, seq), robust=True)


def _publish(project_id: int, seq: int) -> None:
    try:
        send_event(f"{PREFIX}{project_id}", "bell", seq)
    except (RedisError, OSError) as error:
        _publishing.failed(error)
    else:
        _publishing.over()
