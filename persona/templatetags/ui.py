"""What the pages' templates call: figures, spans of time, small pictures."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone

from persona.lib import charts

register = template.Library()

UNITS = ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s"))


@register.filter
def comma(number: int | None) -> str:
    """12,345; a dash where there is no number."""
    return "\N{EN DASH}" if number is None else f"{number:,}"


@register.filter
def ago(instant: datetime | None) -> str:
    """`now`, `14 s ago`, `3 days ago`; `never` for None."""
    if instant is None:
        return "never"
    return "now" if (said := span(timezone.now() - instant)) == "0 s" else f"{said} ago"


@register.filter
def span(given: timedelta) -> str:
    """The largest unit that fits: `14 s`, `5 min`, `3 h`, `1 day`, `12 days`."""
    seconds = max(0, int(given.total_seconds()))
    for size, unit in UNITS:
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return "0 s"


@register.inclusion_tag("_spark.html")
def spark(values: Sequence[float], says: str, own_scale: bool = False) -> dict[str, Any]:
    """A small line; `says` is what a screen reader says of it. Counts have the space beneath it filled."""
    line = charts.spark(values, own_scale=own_scale)
    return {"line": line, "area": None if own_scale else charts.area(line), "says": says, "flat": not any(values)}
