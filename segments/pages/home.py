"""The home of a project: what comes in, how far it is judged, and who moved. Its parts renew themselves."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ingestion.models import DeadLetter
from ingestion.pages import spans
from keys.models import Project
from keys.visibility import may_change, project_page
from persona.lib import charts
from persona.lib.clock import MS_PER_HOUR, rfc3339
from segments import log, overview, watermark
from segments.insight import reading
from segments.streaming import figures
from segments.wording.reasons import SAID

LARGEST = 8  # personas of the list by size
CHANGES = 8
MOST_LETTERS = 1_000  # counted
PERIODS = (("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days"))


class Traffic(msgspec.Struct, frozen=True):
    """What came in during a period, as it is shown: labels by bucket, the unit of a bucket in words."""

    buckets: list[spans.Bucket]
    labels: list[str]
    unit: str
    chart: charts.Bars

    @property
    def stored(self) -> int:
        return sum(bucket.stored for bucket in self.buckets)

    @property
    def rejected(self) -> int:
        return sum(bucket.rejected for bucket in self.buckets)

    @property
    def percent(self) -> str:
        seen = self.stored + self.rejected
        return f"{100 * self.rejected / seen:.2f}" if seen else "0"

    @property
    def last(self) -> spans.Bucket:
        """The last that is over: the present one has only begun."""
        return self.buckets[-2]

    @property
    def rows(self) -> list[tuple[str, int, int]]:
        return [(label, one.stored, one.rejected) for label, one in zip(self.labels, self.buckets, strict=True)]

    @property
    def marks(self) -> list[str]:
        """Four labels for the axis."""
        last = len(self.labels) - 1
        return [self.labels[round(last * part / 3)] for part in range(4)]

    @property
    def values(self) -> str:
        return msgspec.json.encode([[one.stored, one.rejected] for one in self.buckets]).decode()

    @property
    def words(self) -> str:
        return msgspec.json.encode(self.labels).decode()

    @property
    def says(self) -> str:
        most = max(bucket.stored for bucket in self.buckets)
        return (
            f"Events {self.unit}: {self.stored:,} stored, at most {most:,} {self.unit}, and {self.rejected:,} rejected"
        )


@project_page
def project_home(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "segments/home.html", _shown(request, project))


@project_page
def home_parts(request: HttpRequest, project: Project) -> HttpResponse:
    """The same regions again, each with its id, for the page to put in the place of its own."""
    return render(request, "segments/_home.html", _shown(request, project))


def _shown(request: HttpRequest, project: Project) -> dict[str, Any]:
    mark = watermark.of_project(project.pk)
    period = request.GET.get("last", "1h")
    period = period if period in spans.SPANS else "1h"
    rows = sorted(overview.rows(project, mark.now, with_warnings=False), key=lambda row: -row.size)
    newest = log.newest(project.pk, limit=CHANGES)
    names = reading.names(project.pk, {change.profile_id for change in newest})
    letters = DeadLetter.objects.filter(project=project).values("id")[: MOST_LETTERS + 1].count()
    return {
        "project": project,
        "here": "home",
        "mark": mark,
        "period": period,
        "periods": PERIODS,
        "traffic": traffic(spans.of_span(project.pk, period, mark.now), period),
        "rows": rows[:LARGEST],
        "largest": max((row.size for row in rows), default=0),
        "personas": len(rows),
        "changes": [(one, names.get(one.profile_id, one.profile), SAID.get(one.cause, one.cause)) for one in newest],
        "enters": sum(row.moves.enters[-1] for row in rows),
        "leaves": sum(row.moves.leaves[-1] for row in rows),
        "day": sum(row.enters + row.leaves for row in rows),
        "letters": letters,
        "most_letters": MOST_LETTERS,
        "streams": figures.open_now(),
        "may_change": may_change(request.user, project),
    }


def traffic(buckets: list[spans.Bucket], period: str) -> Traffic:
    """What came in, ready to be drawn."""
    step = spans.SPANS[period][0]
    labels = [_label(bucket.at, step) for bucket in buckets]
    unit = {60_000: "a minute", MS_PER_HOUR: "an hour"}.get(step, "in six hours")
    chart = charts.bars([bucket.stored for bucket in buckets], [bucket.rejected for bucket in buckets])
    return Traffic(buckets, labels, unit, chart)


def _label(at: int, step: int) -> str:
    text = rfc3339(at)
    return text[11:16] if step < 2 * MS_PER_HOUR else f"{text[8:10]}.{text[5:7]}. {text[11:16]}"
