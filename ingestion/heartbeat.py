"""The workers' sign of life: written by a task that beat sends through the queue, so that it says all three work."""

from django.db import connection

WORKER = "worker"

BEAT = """
insert into ingestion_heartbeat (process, at) values (%s, floor(extract(epoch from clock_timestamp()) * 1000)::bigint)
on conflict (process) do update set at = excluded.at
"""
AGE = """
select floor(extract(epoch from clock_timestamp()) * 1000)::bigint - at from ingestion_heartbeat where process = %s
"""


def beat(process: str) -> None:
    """It works now."""
    with connection.cursor() as cursor:
        cursor.execute(BEAT, [process])


def age(process: str) -> int | None:
    """Milliseconds since it last worked; None: it never did."""
    with connection.cursor() as cursor:
        cursor.execute(AGE, [process])
        row = cursor.fetchone()
    return None if row is None else int(row[0])
