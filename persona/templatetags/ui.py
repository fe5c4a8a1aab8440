"""What the pages' templates call: figures, spans of time, small pictures."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.http import QueryDict
from django.utils import timezone

from persona.lib import browsers, charts
from persona.lib.clock import parse_instant, rfc3339

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


@register.filter
def instant(ms: int) -> str:
    """For the `datetime` of a <time>: RFC 3339."""
    return rfc3339(ms)


@register.filter
def clock(ms: int) -> str:
    """`16:42:17`, UTC."""
    return rfc3339(ms)[11:19]


@register.filter
def moment(ms: int) -> str:
    """`23 Nov 16:42:17`, and the year where it is another one; UTC."""
    at = datetime.fromtimestamp(ms // 1_000, UTC)
    return f"{at.day} {at:%b}{'' if at.year == timezone.now().year else f' {at.year}'} {at:%H:%M:%S}"


@register.filter
def moment_of(text: str | None) -> str:
    """The same of an instant as RFC 3339 writes it."""
    ms = parse_instant(text or "")
    return "" if ms is None else moment(ms)


@register.filter
def milliseconds(ms: int) -> str:
    """`38 ms`, `4.2 s`, then as `span` says it."""
    if ms < 10_000:
        return f"{ms} ms" if ms < 1_000 else f"{ms / 1_000:.1f} s"
    return span(timedelta(milliseconds=ms))


@register.filter
def ago_ms(ms: int) -> str:
    """`now`, `14 s ago`."""
    return ago(datetime.fromtimestamp(ms / 1_000, UTC))


@register.filter
def of(table: Mapping[str, str], key: str) -> str:
    """What a table says of a key, or the key itself."""
    return table.get(key, key)


@register.filter
def plain(value: object) -> str:
    """A value of JSON as it is read: the words of a list with commas between them."""
    return ", ".join(map(plain, value)) if isinstance(value, list) else str(value)


@register.filter
def browser(agent: str) -> str:
    """`Firefox on Windows`."""
    return browsers.spoken(agent)


@register.filter
def words_of(text: str) -> list[str]:
    """Its words, to go through."""
    return text.split()


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changed: object) -> str:
    """The address's query with some of it changed; what becomes empty is left out."""
    asked: QueryDict = context["request"].GET.copy()
    for name, value in changed.items():
        asked.pop(name, None)
        if value not in (None, ""):
            asked[name] = str(value)
    return f"?{asked.urlencode()}"


@register.inclusion_tag("_bar.html")
def bar(part: float, whole: float) -> dict[str, float]:
    """A small bar: `part` of `whole`. The figure stands beside it."""
    return {"share": charts.share(part, whole)}


@register.inclusion_tag("_spark.html")
def spark(values: Sequence[float], says: str, own_scale: bool = False) -> dict[str, Any]:
    """A small line; `says` is what a screen reader says of it. Counts have the space beneath it filled."""
    line = charts.spark(values, own_scale=own_scale)
    return {"line": line, "area": None if own_scale else charts.area(line), "says": says, "flat": not any(values)}
