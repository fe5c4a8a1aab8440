"""The personas of a project at a glance: size, what moved in a day, how far they are. A constant number of queries."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
from django.db.models import Q

from keys.models import Project
from persona.lib.clock import MS_PER_HOUR
from segments import warnings
from segments.insight import reading
from segments.models import Persona, PersonaHour
from segments.wording import words

HOURS = 24
TONES = {"live": "good", "backfilling": "info", "paused": "warn", "draft": "hollow", "error": "bad"}


class Moves(msgspec.Struct, frozen=True):
    """Enters and leaves by the hour, HOURS and one of them, the present one last."""

    enters: list[int] = msgspec.field(default_factory=lambda: [0] * (HOURS + 1))
    leaves: list[int] = msgspec.field(default_factory=lambda: [0] * (HOURS + 1))


class Row(msgspec.Struct, frozen=True, dict=True):
    """A persona as the list shows it. progress: 0 to 1, of a backfill."""

    persona: Persona
    size: int
    moves: Moves
    progress: float
    warned: Sequence[warnings.Warned]

    @cached_property
    def says(self) -> str:
        return words.sentence(self.persona.rule)

    @property
    def tone(self) -> str:
        return TONES.get(self.persona.status, "")

    @property
    def percent(self) -> int:
        return int(self.progress * 100)

    @property
    def still(self) -> bool:
        return self.persona.status in ("paused", "draft")

    @property
    def enters(self) -> int:
        return sum(self.moves.enters[1:])

    @property
    def leaves(self) -> int:
        return sum(self.moves.leaves[1:])

    @cached_property
    def trend(self) -> list[int]:
        """The size at the end of each of the last hours: back from the present one."""
        sizes = [self.size]
        for came, went in zip(reversed(self.moves.enters[1:]), reversed(self.moves.leaves[1:]), strict=True):
            sizes.append(max(0, sizes[-1] - came + went))
        return sizes[::-1]

    @property
    def trend_says(self) -> str:
        return f"Size over 24 hours: from {self.trend[0]:,} to {self.trend[-1]:,}"


SORTS: Mapping[str, Callable[[Row], Any]] = {
    "name": lambda row: row.persona.slug,
    "status": lambda row: row.persona.status,
    "size": lambda row: row.size,
    "enters": lambda row: row.enters,
    "leaves": lambda row: row.leaves,
}


def rows(
    project: Project, now: int, personas: Sequence[Persona] | None = None, *, with_warnings: bool = True
) -> list[Row]:
    """Of the personas given, or of all, by name. now: ms."""
    if personas is None:
        personas = list(Persona.objects.filter(project=project, deleted_at=None).order_by("slug"))
    sizes, moves = tallied(project.pk, now)
    filling = any(one.status == Persona.Status.BACKFILLING for one in personas)
    progress = reading.progress(project.pk) if filling else {}
    warned = warnings.of_project(project.pk) if with_warnings else {}
    return [
        Row(one, sizes.get(one.pk, 0), moves.get(one.pk, Moves()), progress.get(one.pk, 1.0), warned.get(one.pk, []))
        for one in personas
    ]


def tallied(project_id: int, now: int) -> tuple[dict[int, int], dict[int, Moves]]:
    """By persona: its size, and what moved in the last HOURS and the present hour."""
    first = now - now % MS_PER_HOUR - HOURS * MS_PER_HOUR
    sizes: dict[int, int] = {}
    found: dict[int, Moves] = {}
    rows = PersonaHour.objects.filter(project_id=project_id).filter(Q(hour=0) | Q(hour__gte=first))
    for persona, hour, enters, leaves in rows.values_list("persona_id", "hour", "enters", "leaves"):
        if hour == 0:
            sizes[persona] = enters - leaves
            continue
        moves = found.setdefault(persona, Moves())
        place = min(HOURS, (hour - first) // MS_PER_HOUR)
        moves.enters[place] += enters
        moves.leaves[place] += leaves
    return sizes, found


def chosen(found: Sequence[Row], *, query: str = "", status: str = "", sort: str = "") -> list[Row]:
    """Those whose name or rule has `query`, and that are `live` or `other`; by `sort`, a key of SORTS after a dash for
    the other way round."""
    wanted = query.strip().lower()
    kept = [row for row in found if wanted in f"{row.persona.slug} {row.persona.name} {row.says}".lower()]
    if status:
        kept = [row for row in kept if (row.persona.status == "live") is (status == "live")]
    key = SORTS.get(sort.removeprefix("-"), SORTS["name"])
    return sorted(kept, key=key, reverse=sort.startswith("-"))
