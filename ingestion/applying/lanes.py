"""Writer lanes: one row per project, whose lock makes one writer at a time.

It says too whether turns leave marks for the evaluator, which are a fifth of what an event costs: not where no persona
is. That changes under the lane's lock alone. So a turn without marks is committed before the first persona is, whose
backfill reads what it wrote.
"""

from collections.abc import Callable

from django.db import connection, transaction

ADD_ALL = "insert into ingestion_writerlane (project_id) select id from keys_project on conflict do nothing"
ADD = "insert into ingestion_writerlane (project_id) values (%s) on conflict do nothing"

JUDGE = "update ingestion_writerlane set judged = true where project_id = %s"
LOCK = "select from ingestion_writerlane where project_id = %s for update"
LEAVE = "update ingestion_writerlane set judged = false where project_id = %s"


def make_lane(project: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ADD, [project])


def make_lanes() -> None:
    """For every project that has none: one that was made past Django's signals would never be written for."""
    with connection.cursor() as cursor:
        cursor.execute(ADD_ALL)


def judge(project: int) -> None:
    """Leave marks from now on. Call it in the transaction that makes a persona, after that."""
    with connection.cursor() as cursor:
        cursor.execute(JUDGE, [project])


def leave_unjudged(project: int, nobody_judges: Callable[[], bool]) -> None:
    """Leave no marks until told otherwise, if `nobody_judges`, asked while no turn and no `judge` is under way."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK, [project])
        if nobody_judges():
            cursor.execute(LEAVE, [project])
