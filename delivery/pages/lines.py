"""The delivery log of a destination as its page shows it: newest first, page by page."""

import re
from collections.abc import Sequence

import msgspec
from django.db.models import Q, QuerySet

from delivery.models import Attempt, Destination
from ingestion.models import Profile
from segments.models import Persona

PAGE = 50
_PLACE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


class Line(msgspec.Struct, frozen=True):
    """A delivery with the names of whom it is about. profile: a public id, "" for none."""

    delivery: Attempt
    profile: str
    persona: str

    @property
    def last(self) -> dict[str, object]:
        """Its newest try; empty when it was not tried yet."""
        return dict(self.delivery.tries[-1]) if self.delivery.tries else {}

    @property
    def tone(self) -> str:
        return {"delivered": "good", "dead": "bad"}.get(self.delivery.status, "warn" if self.delivery.tried else "info")

    @property
    def following(self) -> str:
        """Where the page after this line begins."""
        return f"{self.delivery.seq}-{self.delivery.pk}"


def page(destination: Destination, *, status: str = "", before: str = "") -> tuple[list[Line], str]:
    """The lines, and where the next page begins ("": nowhere). What is no status or no place is as if not given."""
    found = list(_rows(destination, status, before).defer("body")[: PAGE + 1])
    lines = named(destination.project_id, found[:PAGE])
    return lines, lines[-1].following if len(found) > PAGE else ""


def named(project: int, deliveries: Sequence[Attempt]) -> list[Line]:
    """With the names of the profiles and personas, in two queries."""
    profiles = Profile.objects.filter(project_id=project, id__in={one.profile_id for one in deliveries})
    personas = Persona.objects.filter(project_id=project, id__in={one.persona_id for one in deliveries})
    ids: dict[int | None, str] = dict(profiles.values_list("id", "public_id"))
    slugs: dict[int | None, str] = dict(personas.values_list("id", "slug"))
    return [Line(one, ids.get(one.profile_id, ""), slugs.get(one.persona_id, "")) for one in deliveries]


def _rows(destination: Destination, status: str, before: str) -> QuerySet[Attempt]:
    """By the number in the log, which is what an index of each destination has."""
    rows = Attempt.objects.filter(project=destination.project_id, destination_id=destination.pk)
    if status in Attempt.Status.values:
        rows = rows.filter(status=status)
    if place := _PLACE.fullmatch(before):
        seq, number = int(place[1]), int(place[2])
        rows = rows.filter(Q(seq__lte=seq) & (Q(seq__lt=seq) | Q(id__lt=number)))
    return rows.order_by("-seq", "-id")
