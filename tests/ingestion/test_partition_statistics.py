"""PostgreSQL must know of a month as soon as it begins to fill: else it reads all events of a name for one profile."""

import pytest
from django.db import connection

from ingestion import partitions

PLAN = """
explain select ts from ingestion_event_2031_01
where project_id = 1 and profile_id = 7 and name_id = 1 and ts > 0 order by ts desc limit 3
"""
FILL = """
insert into ingestion_event select 1, g %% 500, 1 + g %% 5, %s + g, %s + g, int4send(g), '{"path": "/pricing"}', null
from generate_series(1, 3000) g
"""


@pytest.mark.django_db
def test_a_month_that_begins_to_fill_is_looked_at_once() -> None:
    partitions.make(2031, 1)
    start, _ = partitions.bounds(2031, 1)
    assert "ingestion_event_2031_01" not in partitions.learn(), "it is empty"
    with connection.cursor() as cursor:
        cursor.execute(FILL, [start, start])
        assert "ingestion_event_2031_01" in partitions.learn()
        cursor.execute(PLAN)
        assert "project_id_profile_id_name_id_ts_idx" in str(cursor.fetchall())
        cursor.execute("select array_agg(attname) from pg_stats where tablename = 'ingestion_event_2031_01'")
        known = {name for (names,) in cursor.fetchall() for name in names}
    assert "profile_id" in known
    assert not known & {"props", "context"}, "they would be most of what it costs, and no plan asks for them"
    assert "ingestion_event_2031_01" not in partitions.learn()
