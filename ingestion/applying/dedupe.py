"""Which events of a turn are new. Their keys are written; whose key is there already is a duplicate.

Few turns hold a duplicate. The keys of a large one therefore go in by COPY, at half the price of an INSERT with ON
CONFLICT: one walk down the index instead of two, and one record of WAL for many rows. It fails as a whole when one of
them is known. Then it is undone, and they are asked for one by one, as are those of the next turns of that project; of
twice as many when it fails again right after them.
"""

import struct
from collections.abc import Callable, Sequence

import psycopg

from ingestion.applying.cursors import Cursor, copy_packed

LARGE = 256  # keys; for fewer the three round trips of a COPY cost more than it spares
WARY_AT_FIRST = 16  # turns
WARY_MOST = 1_024

# The uids come as one string of 16 bytes each: an array of 5,000 costs ten times as much to send.
INSERT = """
insert into ingestion_dedupekey (project_id, uid, received_at)
select %s, substring(%b::bytea from place * 16 + 1 for 16), %s from generate_series(0, %s - 1) as place
on conflict (project_id, uid) do nothing
returning uid
"""
COPY = "copy ingestion_dedupekey (project_id, uid, received_at) from stdin (format binary)"
RELEASE = "delete from ingestion_dedupekey where project_id = %s and uid = any(%s)"

_ROW = struct.Struct("!hiqi16siq").pack

# By project: turns that still go one by one, and how many it were after the last failure.
_wary: dict[int, tuple[int, int]] = {}


def note(
    cursor: Cursor, project: int, uids: Sequence[bytes], now: int, *, meanwhile: Callable[[], None]
) -> frozenset[bytes]:
    """Those of the different `uids` (16 bytes each) that are new. The caller holds the lane's lock.

    meanwhile: called while PostgreSQL works on it; it must leave the connection alone.
    """
    ordered = sorted(uids)  # neighbours of the index are on the same page
    if len(ordered) >= LARGE and not _is_wary(project):
        if _copied(cursor, project, ordered, now, meanwhile):
            _wary.pop(project, None)
            return frozenset(ordered)
        _be_wary(project)
        return _inserted(cursor, project, ordered, now, lambda: None)
    return _inserted(cursor, project, ordered, now, meanwhile)


def release(cursor: Cursor, project: int, uids: Sequence[bytes]) -> None:
    """Forget them: they may come again."""
    if uids:
        cursor.execute(RELEASE, [project, list(uids)])


def _copied(cursor: Cursor, project: int, uids: Sequence[bytes], now: int, meanwhile: Callable[[], None]) -> bool:
    cursor.execute("savepoint keys")
    try:
        with copy_packed(cursor, COPY, [_ROW(3, 8, project, 16, uid, 8, now) for uid in uids]):
            meanwhile()
    except psycopg.errors.UniqueViolation:
        cursor.execute("rollback to savepoint keys")
        return False
    cursor.execute("release savepoint keys")
    return True


def _inserted(
    cursor: Cursor, project: int, uids: Sequence[bytes], now: int, meanwhile: Callable[[], None]
) -> frozenset[bytes]:
    with cursor.together():
        cursor.execute(INSERT, [project, b"".join(uids), now, len(uids)])
        cursor.hurry()
        meanwhile()
    return frozenset(uid for (uid,) in cursor)


def _is_wary(project: int) -> bool:
    left, turns = _wary.get(project, (0, 0))
    if left:
        _wary[project] = left - 1, turns
    return left > 0


def _be_wary(project: int) -> None:
    _, before = _wary.get(project, (0, 0))
    turns = min(2 * before or WARY_AT_FIRST, WARY_MOST)
    _wary[project] = turns, turns
