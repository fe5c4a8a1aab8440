"""The cursor of a page: where the next one begins. For callers it is opaque.

It says of which list it is, so that the cursor of another one is refused instead of leading to the wrong rows.
"""

import hashlib
import re

PATTERN = "^(r[0-9]{1,18}-[0-9a-f]{8})?$"  # empty: the first page
_SHAPE = re.compile(r"r([0-9]{1,18})-([0-9a-f]{8})")


def token(row: int | None, place: str) -> str | None:
    """The cursor of a page that goes on at a row of the list at `place`; None: it was the last one."""
    return None if row is None else f"r{row}-{mark(place)}"


def row_of(given: str, place: str) -> int | None:
    """The row of a cursor; None when it is none of that list."""
    found = _SHAPE.fullmatch(given)
    return None if found is None or found[2] != mark(place) else int(found[1])


def mark(place: str) -> str:
    """A short digest: against mistakes, not against somebody who would make up a cursor, which shows nothing more."""
    return hashlib.sha256(place.encode()).hexdigest()[:8]
