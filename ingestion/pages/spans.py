"""What came in during the last hour, day or week, for a chart: read from the tallies, never from the events."""

import msgspec
from django.db import connection

from ingestion.applying.activity import HOUR_MS
from ingestion.applying.tallies import MINUTE_MS

# ms of a part, and how many parts there are.
SPANS = {"1h": (MINUTE_MS, 60), "24h": (HOUR_MS, 24), "7d": (6 * HOUR_MS, 28)}
TALLIES = """
select {column} - {column} %% %(step)s, sum(stored), sum(rejected) from {table}
where project_id = %(project)s and {column} >= %(start)s group by 1
"""


class Bucket(msgspec.Struct, frozen=True):
    """What came in during a part of a span; at: its first millisecond."""

    at: int
    stored: int
    rejected: int


def of_span(project_id: int, name: str, now: int) -> list[Bucket]:
    """What came in during SPANS[name] up to `now` (ms), by its parts, the current one last."""
    step, parts = SPANS[name]
    start = now - now % step - (parts - 1) * step
    table, column = ("ingestion_eventminute", "minute") if step == MINUTE_MS else ("ingestion_eventhour", "hour")
    with connection.cursor() as cursor:
        asked = {"project": project_id, "start": start, "step": step}
        cursor.execute(TALLIES.format(table=table, column=column), asked)
        found = {at: (int(stored), int(rejected)) for at, stored, rejected in cursor.fetchall()}
    return [Bucket(at, *found.get(at, (0, 0))) for at in range(start, start + parts * step, step)]
