"""The people of a project, page by page, for whoever looks at all of them."""

from django.db import connection

PAGE = 500  # profiles read at once

PROFILES = """
select id from ingestion_profile where project_id = %s and id > %s and merged_into is null order by id limit %s
"""


def page(project_id: int, after: int) -> list[int]:
    """The next ids after `after`, in their order; empty at the end. Profiles that were merged away are nobody."""
    with connection.cursor() as cursor:
        cursor.execute(PROFILES, [project_id, after, PAGE])
        return [profile for (profile,) in cursor.fetchall()]
