"""Dead letters by cause: a few probes of an index for each, however many there are."""

import msgspec
from django.db import connection

from keys.models import Project

COUNTED = 10_000  # of one cause; more is said to be more

# From code to code along the index, and of each code a bounded count.
CAUSES = """
with recursive codes as (
    (select code from ingestion_deadletter where project_id = %(project)s order by code limit 1)
    union all
    select (select d.code from ingestion_deadletter d where d.project_id = %(project)s and d.code > codes.code
            order by d.code limit 1)
    from codes where codes.code is not null)
select code,
    (select count(*) from (select from ingestion_deadletter d
        where d.project_id = %(project)s and d.code = codes.code limit %(most)s) counted),
    (select d.id from ingestion_deadletter d where d.project_id = %(project)s and d.code = codes.code
     order by d.id desc limit 1) as newest
from codes where code is not null order by newest desc
"""


class Cause(msgspec.Struct, frozen=True):
    """n: letters of it, at most COUNTED; more: there are more than that; newest: an id."""

    code: str
    n: int
    more: bool
    newest: int


def of_project(project: Project) -> list[Cause]:
    """The one with the newest letter first."""
    with connection.cursor() as cursor:
        cursor.execute(CAUSES, {"project": project.pk, "most": COUNTED + 1})
        return [Cause(code, min(n, COUNTED), n > COUNTED, newest) for code, n, newest in cursor.fetchall()]
