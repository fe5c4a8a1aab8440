"""Instants and durations. Inside the product an instant is an int: milliseconds since 1970, UTC."""

import re
from datetime import UTC, datetime, timedelta

MS_PER_SECOND = 1_000
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 86_400_000
LATEST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last instant RFC 3339 can write

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of no zone: as UTC it would be written with an offset
_DURATION = re.compile(
    r"P(?:(?P<d>\d{1,6})D)?(?:T(?:(?P<h>\d{1,7})H)?(?:(?P<m>\d{1,9})M)?(?:(?P<s>\d{1,10})(?:\.(?P<f>\d{1,3}))?S)?)?",
    re.ASCII,
)
# The field's clients write "T" or a blank, any number of decimals, "Z", an offset with or without colon or minutes, or
# nothing; and some leave out all separators but the "T".
_OFFSET = r"\s?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?"
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?" + _OFFSET + ")?", re.ASCII
)
_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)[Tt](\d\d)(?:(\d\d)(?:(\d\d)(?:[.,](\d{1,9}))?)?)?" + _OFFSET, re.ASCII)


def milliseconds(moment: datetime) -> int:
    """An aware datetime as milliseconds, rounded down."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000 + delta.microseconds // 1_000


def rfc3339(instant: int) -> str:
    """`2026-06-09T10:14:05.000Z`; instants beyond year 9999 are shown as its last millisecond."""
    moment = _EPOCH + timedelta(milliseconds=min(instant, LATEST))
    return moment.isoformat(timespec="milliseconds") + "Z"  # a third of what strftime takes


def parse_instant(value: str) -> int | None:
    """Milliseconds of an ISO 8601 / RFC 3339 text, or None. Without an offset it is UTC."""
    if len(value) in (20, 24) and value[10] == "T" and value[13] == ":" and value[-1] == "Z":
        try:  # what nearly all clients write, eight times as fast
            return milliseconds(datetime.fromisoformat(value))
        except ValueError:
            pass  # a leap second, or wrong: the long way knows
    written = value.strip()
    match = _INSTANT.fullmatch(written) or _BASIC.fullmatch(written)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, off_hours, off_minutes = match.groups()
    leap = second == "60"
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            59 if leap else int(second or 0),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    instant = milliseconds(moment) + (MS_PER_SECOND if leap else 0)
    if fraction:
        instant += int(fraction[:3].ljust(3, "0"))
    if sign:
        if int(off_hours) > 23 or int(off_minutes or 0) > 59:
            return None
        offset = (int(off_hours) * 60 + int(off_minutes or 0)) * 60_000
        instant += -offset if sign == "+" else offset
    return instant


def parse_duration(value: str) -> int | None:
    """Milliseconds of an ISO 8601 duration of fixed length (D, H, M, S), or None."""
    match = _DURATION.fullmatch(value)
    if match is None or value.endswith(("P", "T")):
        return None
    parts = match.groupdict(default="0")
    seconds = int(parts["d"]) * 86_400 + int(parts["h"]) * 3_600 + int(parts["m"]) * 60 + int(parts["s"])
    return seconds * 1_000 + int((parts["f"] or "0").ljust(3, "0"))
