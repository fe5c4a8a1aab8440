"""Local days, weeks and months as stretches of milliseconds, with the days on which clocks are changed."""

from datetime import date, datetime
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from persona.lib.clock import LATEST, MS_PER_DAY

INF = 1 << 62  # an instant that never comes
NEVER = -INF  # the value of what is false until something happens
UNITS = ("day", "week", "month")


class Periods:
    """The periods of one kind in one time zone, numbered without gaps."""

    def __init__(self, unit: str, tz: str) -> None:
        self.unit, self.tz, self.zone = unit, tz, ZoneInfo(tz)

    def start(self, index: int) -> int:
        """The first millisecond of a period; INF beyond the year 9999."""
        return _start(self.unit, self.tz, index)

    def index(self, ts: int) -> int:
        """The period in which an instant lies."""
        # The last day that dates can write is local already in the east: the search below goes on from a day before.
        day = datetime.fromtimestamp(min(ts, LATEST - MS_PER_DAY) // 1_000, self.zone).date()
        index = number(self.unit, day)
        # Where clocks are put back across midnight, the same date comes twice.
        while ts >= self.start(index + 1):
            index += 1
        while ts < self.start(index):
            index -= 1
        return index


def number(unit: str, day: date) -> int:
    """The period of a date; 0001-01-01 was a Monday."""
    if unit == "month":
        return day.year * 12 + day.month - 1
    return (day.toordinal() - 1) // (7 if unit == "week" else 1)


def first_day(unit: str, index: int) -> date | None:
    """The date on which a period begins; None outside the years 1 to 9999."""
    try:
        if unit == "month":
            return date(index // 12, index % 12 + 1, 1)
        return date.fromordinal(index * (7 if unit == "week" else 1) + 1)
    except (ValueError, OverflowError):
        return None


@cache
def longest(unit: str, periods: int) -> int:
    """Days that so many periods in a row have at most."""
    if unit != "month":
        return periods * (7 if unit == "week" else 1)
    starts = range(2021 * 12, 2029 * 12)  # with two leap years
    days = ((first_day(unit, start + periods), first_day(unit, start)) for start in starts)
    return max((end - start).days for end, start in days if end and start)


@cache
def zones() -> frozenset[str]:
    """The names of all time zones that this machine knows, without those that mean another one on each."""
    return frozenset(available_timezones()) - {"localtime", "Factory"}


@lru_cache(maxsize=65_536)
def _start(unit: str, tz: str, index: int) -> int:
    day = first_day(unit, index)
    if day is None:
        return INF if index > 0 else -INF
    # Where there is no midnight, this is the instant at which the clocks jump over it.
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(tz))
    return int(midnight.timestamp()) * 1_000
