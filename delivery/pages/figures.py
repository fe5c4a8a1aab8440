"""How the newest deliveries of each destination went, for the pages."""

from collections.abc import Sequence

import msgspec
from django.db import connection

from keys.models import Project

NEWEST = 200  # deliveries that the figures are made of

# Along delivery_attempt_seq from its end; what was never tried says nothing. Untried ones are bounded by PARKED_MOST.
FIGURES = """
select d.id, count(*), count(*) filter (where t.status <> 'delivered'),
    percentile_disc(0.5) within group (order by t.ms), max(t.at)
from unnest(%(destinations)s::bigint[]) as d(id) cross join lateral (
    select a.status, (a.tries -> -1 ->> 'ms')::bigint as ms, (a.tries -> -1 ->> 'at')::bigint as at
    from delivery_attempt a where a.project_id = %(project)s and a.destination_id = d.id and a.tries <> '[]'
    order by a.seq desc limit %(newest)s) t
group by d.id
"""


class Figures(msgspec.Struct, frozen=True):
    """Of the newest deliveries that were tried. failed: share that is not delivered, 0 to 100; median: ms of an
    answer; last: when the newest try was, ms."""

    tried: int = 0
    failed: float = 0.0
    median: int | None = None
    last: int | None = None


def figures(project: Project, destinations: Sequence[int]) -> dict[int, Figures]:
    """By destination; those of which nothing was tried are not in it."""
    with connection.cursor() as cursor:
        cursor.execute(FIGURES, {"project": project.pk, "destinations": list(destinations), "newest": NEWEST})
        return {row[0]: Figures(row[1], 100 * row[2] / row[1], *row[3:]) for row in cursor.fetchall()}
