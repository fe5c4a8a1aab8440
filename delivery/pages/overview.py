"""Destinations as the pages show them: how each does in one word, what waits, how its newest deliveries went."""

from collections.abc import Sequence

import msgspec

from delivery import reading
from delivery.models import BY_HAND, Destination
from delivery.pages import figures
from delivery.pages.figures import Figures
from delivery.shapes import State
from keys.models import Project


class Row(msgspec.Struct, frozen=True):
    """A destination as the list shows it."""

    destination: Destination
    state: State
    recent: Figures

    @property
    def gave_up(self) -> bool:
        """It has paused itself, and somebody has to do something."""
        return self.destination.status == Destination.Status.PAUSED and self.destination.paused_because != BY_HAND

    @property
    def word(self) -> str:
        if self.destination.status == Destination.Status.PAUSED:
            return "paused"
        return "failing" if self.state.cursor.failing_since else "working"

    @property
    def tone(self) -> str:
        return {"working": "good", "failing": "warn"}.get(self.word, "bad" if self.gave_up else "hollow")

    @property
    def behind(self) -> int:
        """What is not delivered yet: rows of the log, and deliveries that wait for another try."""
        return self.state.lag + self.state.waiting


def rows(project: Project, destinations: Sequence[Destination]) -> list[Row]:
    """In the order given, in a constant number of queries."""
    states = reading.states(project, destinations)
    recent = figures.figures(project, list(states))
    return [Row(one, states[one.pk], recent.get(one.pk, Figures())) for one in destinations if one.pk in states]


def of_project(project: Project) -> list[Row]:
    return rows(project, list(Destination.objects.filter(project=project).order_by("name", "id")))
