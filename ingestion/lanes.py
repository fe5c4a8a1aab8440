"""Writer lanes: one row per project, whose lock makes one writer at a time."""

from django.db import connection

ADD_ALL = "insert into ingestion_writerlane (project_id) select id from keys_project on conflict do nothing"
ADD = "insert into ingestion_writerlane (project_id) values (%s) on conflict do nothing"


def make_lane(project: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ADD, [project])


def make_lanes() -> None:
    """For every project that has none: one that was made past Django's signals would never be written for."""
    with connection.cursor() as cursor:
        cursor.execute(ADD_ALL)
