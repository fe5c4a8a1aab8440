"""What happened to a profile: its events and its changes, newest first, a page at a time."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import connection

from ingestion.models import EventName
from persona.lib.clock import LATEST
from segments import log

PAGE = 50
SHOWN = 8  # properties of an event in its line
CUT = 60  # characters of a value

EVENTS = """
select ts, received_at, name_id, props::text from ingestion_event
where project_id = %(project)s and profile_id = %(profile)s and ts < %(before)s
order by ts desc, uid desc limit %(limit)s
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line. kind: event, enter or leave; name: of the event or the persona; text: properties, or the cause."""

    at: int
    kind: str
    name: str
    text: str
    late_ms: int = 0
    version: int = 0


class Day(msgspec.Struct, frozen=True):
    """The entries of one day, UTC."""

    name: str
    entries: list[Entry]


def timeline(project_id: int, profile_id: int, *, before: int, show: str = "") -> tuple[list[Day], int | None]:
    """The newest PAGE entries before an instant (ms), by days, and where to go on. show: events, changes, or both."""
    events = _events(project_id, profile_id, before) if show != "changes" else []
    changes = _changes(project_id, profile_id, before) if show != "events" else []
    # Newest first: a change stands above the event that it came of.
    entries = sorted([*events, *changes], key=lambda entry: (-entry.at, entry.kind == "event"))
    page, following = _cut_off(entries)
    days: dict[str, list[Entry]] = {}
    for entry in page:
        days.setdefault(_day(entry.at), []).append(entry)
    return [Day(name, found) for name, found in days.items()], following


def _cut_off(entries: list[Entry]) -> tuple[list[Entry], int | None]:
    """A page that ends between two instants, so that the next one can begin there; else in the middle of a crowd."""
    if len(entries) <= PAGE:
        return entries, None
    edge = entries[PAGE].at
    whole = [entry for entry in entries[:PAGE] if entry.at > edge]
    return (whole, edge + 1) if whole else (entries[:PAGE], edge)


def _events(project_id: int, profile_id: int, before: int) -> list[Entry]:
    asked = {"project": project_id, "profile": profile_id, "before": before, "limit": PAGE + 1}
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, asked)
        rows = cursor.fetchall()
    names = dict(
        EventName.objects.filter(project_id=project_id, id__in={row[2] for row in rows}).values_list("id", "name")
    )
    return [
        Entry(
            at=ts, kind="event", name=names.get(name, ""), text=brief(msgspec.json.decode(props)), late_ms=received - ts
        )
        for ts, received, name, props in rows
    ]


def _changes(project_id: int, profile_id: int, before: int) -> list[Entry]:
    rows = log.newest_of(project_id, profile_id, before=before, limit=PAGE + 1)
    return [Entry(at=row.at, kind=row.op, name=row.persona, text=row.cause, version=row.version) for row in rows]


def brief(properties: Any) -> str:
    """The first few properties in one line, cut."""
    if not isinstance(properties, dict):
        return ""
    shown = [f"{key[:40]}: {_cut(value)}" for key, value in list(properties.items())[:SHOWN]]
    return ", ".join(shown)


def _cut(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= CUT else f"{text[:CUT]}…"


def _day(at: int) -> str:
    moment = datetime.fromtimestamp(min(at, LATEST) / 1_000, UTC)
    return f"{moment:%A}, {moment.day} {moment:%B %Y}"
