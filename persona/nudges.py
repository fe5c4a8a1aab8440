"""A nudge put into the queue inside PostgreSQL with one statement, instead of kombu's way to it, which takes several
times as long: the message is made once a process by Celery itself, and only its ids are new each time."""

import base64
import uuid
from functools import lru_cache
from typing import Any

import msgspec
from celery import Celery
from django.db import Error, connection
from kombu import serialization
from psycopg import sql

from ingestion.applying.cursors import bulk_cursor
from persona import broker

OPTIONS = {"ignore_result", "retry"}  # of a nudge; any other is for Celery to understand
NUDGE = f"""
with told as ({broker.REMIND}),
sent as (select from pgmq.send(%(queue)s, %(message)s::jsonb, %(message)s::jsonb -> 'headers')
    where not exists (select from told))
select count(*), set_config('synchronous_commit', 'off', true) from sent
"""  # noqa: S608 - of constants; a lost message costs latency and no data


def put(app: Celery, queue: str, task: str) -> str | None:
    """The id of the task; '' where one like it waits, whose workers are told of it once more.

    None: it cannot be, for want of the queue or of the database. Kombu makes the one, and meets with the other.
    """
    if connection.in_atomic_block:
        return None  # whose commit it would wait for
    statement = _statement(queue)
    try:
        with bulk_cursor() as cursor:
            template, (old, delivery) = _template(app, queue, task)
            new = str(uuid.uuid4())
            message = template.replace(old, new).replace(delivery, str(uuid.uuid4()))
            row = cursor.execute(statement, {"queue": queue, "task": task, "message": message}).fetchone()
            return new if row and row[0] else ""
    except Error:
        connection.close()
        return None


@lru_cache
def _statement(queue: str) -> str:
    return NUDGE.replace("{table}", sql.Identifier(f"q_{queue}").as_string())


@lru_cache
def _template(app: Celery, queue: str, task: str) -> tuple[str, tuple[str, str]]:
    """A message of kombu's, and the ids of its task and of its delivery."""
    ids = str(uuid.uuid4()), str(uuid.uuid4())
    made: Any = app.amqp.as_task_v2(ids[0], task, ignore_result=True)
    content_type, encoding, body = serialization.dumps(made.body, serializer="json")
    message = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": encoding,
        "content-type": content_type,
        "headers": made.headers,
        "properties": {
            **made.properties,
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_mode": 2,
            "delivery_tag": ids[1],
            "priority": 0,
        },
    }
    return msgspec.json.encode(message).decode(), ids
