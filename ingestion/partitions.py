"""Monthly partitions of ingestion_event, by received_at: made ahead, dropped when nothing in them can count."""

import re
from datetime import UTC, datetime

from django.db import connection, transaction

from ingestion.applying.cursors import Cursor, bulk_cursor, bulk_transaction
from persona.lib.clock import milliseconds
from persona.lib.log import get_logger

log = get_logger(__name__)

NAME = re.compile(r"ingestion_event_(\d{4})_(\d\d)")

NOW = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
EXISTING = """
select child.relname from pg_inherits
join pg_class child on child.oid = inhrelid
where inhparent = 'ingestion_event'::regclass
"""
# Conflicts with itself and with nothing that reads or writes rows: one process at a time makes partitions.
LOCK = "lock table ingestion_event in share update exclusive mode"
# A month that comes late finds its first rows in the default partition: they move over before it is attached.
MAKE = """
create table {name} (like ingestion_event including defaults);
alter table {name} alter column props set statistics 0, alter column context set statistics 0;
with moved as (
    delete from ingestion_event_rest where received_at >= {start} and received_at < {end} returning *
)
insert into {name} select * from moved;
alter table ingestion_event attach partition {name} for values from ({start}) to ({end});
"""
# Began to fill, and nobody has looked at it since it was made.
UNKNOWN = """
select child.relname from pg_inherits join pg_class child on child.oid = inhrelid
where inhparent = 'ingestion_event'::regclass and child.reltuples <= 0 and pg_relation_size(child.oid) > 65536
"""


def can_be_made() -> bool:
    """Whether the table is there."""
    return "ingestion_event" in connection.introspection.table_names()


def ensure(months: int = 3) -> list[str]:
    """Make the partitions of this month and the following ones, `months` in all. The names of those that were new."""
    with bulk_cursor() as cursor:
        (now,) = cursor.execute(NOW).fetchone() or (0,)
    today = datetime.fromtimestamp(now / 1_000, UTC)
    first = today.year * 12 + today.month - 1
    return [name for month in range(first, first + months) if (name := make(month // 12, month % 12 + 1))]


def make(year: int, month: int) -> str:
    """Make one month's partition; '' when it was there already."""
    name = f"ingestion_event_{year:04d}_{month:02d}"
    start, end = bounds(year, month)
    with bulk_transaction() as cursor:
        if name in existing(cursor):
            return ""
        cursor.execute(LOCK)
        if name in existing(cursor):
            return ""
        cursor.connection.execute(MAKE.format(name=name, start=start, end=end).encode())  # several statements
    log.info("partition.made", partition=name)
    return name


def bounds(year: int, month: int) -> tuple[int, int]:
    """The first instant of a month (UTC) and of the one after it, in ms."""
    following = (year + 1, 1) if month == 12 else (year, month + 1)
    return milliseconds(datetime(year, month, 1, tzinfo=UTC)), milliseconds(datetime(*following, 1, tzinfo=UTC))


def existing(cursor: Cursor) -> set[str]:
    return {name for (name,) in cursor.execute(EXISTING).fetchall()}


def learn() -> list[str]:
    """Have PostgreSQL look at partitions that began to fill; their names. Cheap when there are none: every second.

    Autovacuum comes a minute later. Until then PostgreSQL takes a new month for empty, and reads all events of a name
    in it to find those of one profile.
    """
    with connection.cursor() as cursor:
        cursor.execute(UNKNOWN)
        unknown = [name for (name,) in cursor.fetchall()]
        for name in unknown:
            cursor.execute(f"analyze {connection.ops.quote_name(name)}")
    return unknown


def expired(before: int) -> list[str]:
    """Partitions in which every event was received before the instant `before` (ms)."""
    with bulk_cursor() as cursor:
        months = [(name, match) for name in existing(cursor) if (match := NAME.fullmatch(name))]
    return sorted(name for name, match in months if bounds(int(match[1]), int(match[2]))[1] <= before)


def drop(name: str) -> None:
    """Remove a month with its events. Waits at most 5 s for readers, then fails; it is tried again later."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name} is not a month's partition")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("set local lock_timeout = '5s'")
        cursor.execute(f"drop table {name}")
    log.info("partition.dropped", partition=name)
