"""What each key was last used for, and by what: noted in memory at every request, written by the ring's own thread.

A key that only reads sends no event: without this nobody could see that it is in use.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from django.db import connection

from keys.principal import Line, Principal

Way = Literal["events", "stream", "api", "config"]
WORDS: dict[str, str] = {
    "events": "sent events",
    "stream": "opened a stream",
    "api": "called the API",
    "config": "read the configuration",
}
EVERY = 10.0  # seconds between two notes of one key and way by one process
CAPACITY = 40_000  # keys and ways that are remembered
CHARACTERS = 80  # of what a program says of itself

# In the order of the keys, as every process locks them.
WRITE = """
insert into keys_keysighting (project_id, key_id, way, at, used_by)
select s.project, s.key, s.way, s.at, s.used_by
from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[]) as s(project, key, way, at, used_by)
order by s.project, s.key, s.way
on conflict (project_id, key_id, way) do update set at = excluded.at, used_by = excluded.used_by
where keys_keysighting.at < excluded.at
"""
READ = "select key_id, way, at, used_by from keys_keysighting where project_id = %s order by at desc"

Place = tuple[int, int, Way]  # project, key


class Sighting(NamedTuple):
    """One use of a key."""

    way: str
    at: datetime
    used_by: str

    @property
    def words(self) -> str:
        return WORDS.get(self.way, self.way)


class Sightings:
    """Of one process. `note` is for any thread and costs next to nothing; `write` is for the ring's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._again: dict[Place, float] = {}
        self._fresh: dict[Place, tuple[int, str]] = {}

    def note(self, principal: Principal, way: Way, headers: Mapping[str, str]) -> None:
        """Header names in lower case. Who signs instead of sending a key has none to be seen."""
        place, now = (principal.project_id, principal.key_id, way), self._clock()
        if now < self._again.get(place, 0.0) or principal.key_id <= 0:
            return
        if len(self._again) >= CAPACITY:
            self._again.clear()
        self._again[place] = now + EVERY
        self._fresh[place] = time.time_ns() // 1_000_000, used_by(headers)

    def write(self, line: Line) -> None:
        """What is new since the last time. Raises psycopg.Error; what is lost then is noted again at the next use."""
        if self._fresh:
            fresh, self._fresh = self._fresh, {}
            projects, keys, ways = zip(*fresh, strict=True)
            moments, programs = zip(*fresh.values(), strict=True)
            line.execute(WRITE, [list(projects), list(keys), list(ways), list(moments), list(programs)])


def used_by(headers: Mapping[str, str]) -> str:
    """The page's origin, or how the program names itself; of a browser no more than that it is one."""
    origin = headers.get("origin", "")
    if origin not in ("", "null"):
        return _printable(origin)
    program = _printable(headers.get("user-agent", ""))
    return "a browser" if program.startswith("Mozilla/") else program


def _printable(text: str) -> str:
    return "".join(sign for sign in text[: 2 * CHARACTERS] if sign.isprintable())[:CHARACTERS]


def of_project(project: int) -> dict[int, list[Sighting]]:
    """By key, newest first."""
    with connection.cursor() as cursor:
        cursor.execute(READ, [project])
        return _by_key(cursor.fetchall())


def _by_key(rows: Iterable[tuple[int, str, int, str]]) -> dict[int, list[Sighting]]:
    found: dict[int, list[Sighting]] = {}
    for key, way, at, program in rows:
        found.setdefault(key, []).append(Sighting(way, datetime.fromtimestamp(at / 1_000, UTC), program))
    return found
