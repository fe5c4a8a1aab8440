"""How far a project has been evaluated: everything received before that instant has been judged."""

import msgspec
from django.conf import settings
from django.db import connection, connections

# Each part is one index probe. A parked batch waits for a person and holds nobody up.
WAITING = "select received_at from ingestion_batch where project_id = %s and not parked order by id limit 1"
BEHIND = """
select (select min(at) from ingestion_staleprofiles where project_id = %(project)s),
    (select min(due.recheck_at) from segments_lane l cross join lateral (
        select m.recheck_at from segments_membership m where m.project_id = l.project_id and m.shard = l.shard
            and m.recheck_at is not null order by m.recheck_at limit 1) due
     where l.project_id = %(project)s),
    floor(extract(epoch from clock_timestamp()) * 1000)::bigint
"""


class Watermark(msgspec.Struct, frozen=True):
    """evaluated_through and now, both ms; `lag_ms` is what lies between."""

    evaluated_through: int
    now: int

    @property
    def lag_ms(self) -> int:
        return self.now - self.evaluated_through


def of_project(project_id: int) -> Watermark:
    """The oldest of: batches not applied, profiles not judged, timers due. Now, when there is none."""
    with connections[settings.INBOX_ALIAS].cursor() as cursor:
        cursor.execute(WAITING, [project_id])
        waiting = cursor.fetchone()
    with connection.cursor() as cursor:
        cursor.execute(BEHIND, {"project": project_id})
        stale, due, now = cursor.fetchone()
    return Watermark(min([*(waiting or ()), *(at for at in (stale, due) if at is not None), now]), now)
