"""The cursor of a page: where the next one begins. For callers it is opaque."""

import re

PATTERN = "^(r[0-9]{1,18})?$"  # empty: the first page
_SHAPE = re.compile(r"r([0-9]{1,18})")


def token(row: int | None) -> str | None:
    """The cursor of a page that goes on at a row; None: it was the last one."""
    return None if row is None else f"r{row}"


def row_of(given: str) -> int | None:
    """The row of a cursor; None when it is none of ours."""
    found = _SHAPE.fullmatch(given)
    return None if found is None else int(found[1])
