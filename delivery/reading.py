"""Destinations and deliveries, found and counted, in a constant number of queries a page."""

from collections.abc import Sequence

from django.db import connection
from django.db.models import QuerySet

from delivery.models import Attempt, Cursor, Destination
from delivery.shapes import State
from ingestion import log as applied
from ingestion.models import Profile
from keys.models import Project
from persona.lib.problems import Problem, no_such_thing
from segments import log
from segments.models import Persona

COUNTED = 10_000  # more than that is shown as that

# Each count ends at a bound, along a partial index.
COUNTS = """
select d.id,
    (select count(*) from (select from delivery_attempt a where a.project_id = %(project)s and a.destination_id = d.id
        and a.status = 'waiting' limit %(most)s) w),
    (select count(*) from (select from delivery_attempt a where a.project_id = %(project)s and a.destination_id = d.id
        and a.status = 'dead' limit %(most)s) x)
from unnest(%(destinations)s::bigint[]) as d(id)
"""


def destination_of(project: Project, public_id: str) -> Destination:
    """Raises the 404."""
    found = Destination.objects.select_related("project").filter(project=project, public_id=public_id).first()
    if found is None:
        raise no_such_thing()
    return found


def states(project: Project, destinations: Sequence[Destination]) -> dict[int, State]:
    """How each of them does."""
    numbers = [one.pk for one in destinations]
    cursors = {one.destination_id: one for one in Cursor.objects.filter(project=project, destination_id__in=numbers)}
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, {"project": project.pk, "destinations": numbers, "most": COUNTED})
        counts = {number: (waiting, dead) for number, waiting, dead in cursor.fetchall()}
    changes, events = log.bounds(project.pk)[1], applied.head(project.pk)
    return {
        one.pk: State(
            cursors[one.pk], max(0, (events if one.forwards else changes) - cursors[one.pk].seq), *counts[one.pk]
        )
        for one in destinations
        if one.pk in cursors
    }


def state(destination: Destination) -> State:
    found = states(destination.project, [destination]).get(destination.pk)
    if found is None:
        raise no_such_thing()
    return found


def deliveries(
    project: Project, *, destination: str = "", status: str = "", profile: str = "", persona: str = ""
) -> QuerySet[Attempt]:
    """Newest first. Raises the 404 for a destination, profile or persona that is not there, 400 for no status."""
    rows = Attempt.objects.filter(project=project).order_by("-id")
    if destination:
        rows = rows.filter(destination_id=destination_of(project, destination).pk)
    if status:
        if status not in Attempt.Status.values:
            words = ", ".join(Attempt.Status.values)
            raise Problem(400, "request.parameter_invalid", f"status: one of {words}.")
        rows = rows.filter(status=status)
    if profile:
        found = Profile.objects.filter(project=project, public_id=profile).values_list("id", flat=True).first()
        if found is None:
            raise no_such_thing()
        rows = rows.filter(profile_id=found)
    if persona:
        slugs = list(Persona.objects.filter(project=project, slug=persona).values_list("id", flat=True))
        if not slugs:
            raise no_such_thing()
        rows = rows.filter(persona_id__in=slugs)
    return rows


def delivery_of(project: Project, number: str) -> Attempt:
    """Raises the 404."""
    known = number.isascii() and number.isdigit() and len(number) < 19
    found = Attempt.objects.filter(project=project, id=int(number)).first() if known else None
    if found is None:
        raise no_such_thing()
    return found


def names_of(project: Project, attempts: Sequence[Attempt]) -> dict[int, str]:
    """Public ids of their destinations."""
    numbers = {one.destination_id for one in attempts}
    return dict(Destination.objects.filter(project=project, id__in=numbers).values_list("id", "public_id"))
