"""How much each key of a project is used: written with the events, read by the page of keys."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import connection

from keys.known import sightings
from keys.known.sightings import Sighting
from keys.models import KeyUse

HOUR = 3_600_000  # ms
HOURS_SHOWN = 24
KEPT = 400 * 24 * HOUR

# By key, as every transaction that writes several of them locks them in the same order.
NOTE = """
insert into keys_keyuse (project_id, key_id, hour, events, last_used_at)
select %s, r.key, %s, r.events, r.at
from unnest(%s::bigint[], %s::bigint[], %s::bigint[]) as r(key, events, at) order by r.key
on conflict (project_id, key_id, hour) do update
set events = keys_keyuse.events + excluded.events,
    last_used_at = greatest(keys_keyuse.last_used_at, excluded.last_used_at)
"""
LAST = "select key_id, max(last_used_at) from keys_keyuse where project_id = %s group by key_id"


class Use(msgspec.Struct, frozen=True):
    """events: by hour, oldest first, HOURS_SHOWN of them, the current one last; sightings: newest first."""

    events: Sequence[int] = (0,) * HOURS_SHOWN
    last_event: datetime | None = None
    sightings: Sequence[Sighting] = ()

    @property
    def last(self) -> datetime | None:
        """Of any use. An event counts once it is applied, a sighting within a second."""
        known = [self.last_event, *(seen.at for seen in self.sightings[:1])]
        return max((at for at in known if at is not None), default=None)

    @property
    def total(self) -> int:
        return sum(self.events)


def note(cursor: Any, project: int, uses: Mapping[int, tuple[int, int]], now: int) -> None:
    """`uses`: key -> (events, ms of the newest). In the caller's transaction; one statement."""
    if uses:
        keys = sorted(uses)
        events, last = [uses[key][0] for key in keys], [uses[key][1] for key in keys]
        cursor.execute(NOTE, [project, now - now % HOUR, keys, events, last])


def traffic(project: int, now: int) -> dict[int, Use]:
    """Of every key of the project that was ever used: the last day, its last event, and what it was last used for."""
    first = now - now % HOUR - (HOURS_SHOWN - 1) * HOUR
    counts: dict[int, list[int]] = {}
    rows = KeyUse.objects.filter(project_id=project, hour__gte=first).values_list("key_id", "hour", "events")
    for key, hour, events in rows:
        counts.setdefault(key, [0] * HOURS_SHOWN)[min((hour - first) // HOUR, HOURS_SHOWN - 1)] += events
    with connection.cursor() as cursor:
        cursor.execute(LAST, [project])
        last = {key: datetime.fromtimestamp(at / 1_000, UTC) for key, at in cursor.fetchall()}
    seen = sightings.of_project(project)
    return {key: Use(counts.get(key, [0] * HOURS_SHOWN), last.get(key), seen.get(key, ())) for key in {*last, *seen}}


def prune(now: int) -> int:
    """Forget what is older than KEPT; the number of rows."""
    return KeyUse.objects.filter(hour__lt=now - KEPT).delete()[0]
