"""The cursor of a page: where the next one begins. For callers it is opaque.

It says of which list it is, so that the cursor of another one is refused instead of leading to the wrong rows. It is a
place and shows nothing: whose rows are listed is decided by who asks.
"""

import re

_SHAPE = re.compile(r"([a-z-]+)-([0-9]{1,18})")
_NAMES = {"versions": "{}-versions", "download": "{}"}  # by the part of the address before


def token(row: int | None, address: str) -> str | None:
    """The cursor of a page that goes on at a row of the list at `address`; None: it was the last one."""
    return None if row is None else f"{list_at(address)}-{row}"


def row_of(given: str, address: str) -> int | None:
    """The row of a cursor; None when it is none of that list."""
    found = _SHAPE.fullmatch(given)
    return None if found is None or found[1] != list_at(address) else int(found[2])


def pattern(address: str) -> str:
    """What cursors of the list at `address` look like; the empty one is the first page."""
    return f"^({list_at(address)}-[0-9]{{1,18}})?$"


def list_at(address: str) -> str:
    """What is listed there: `keys`, `members`, `settings-versions`."""
    *_, before, last = ["", *address.strip("/").split("/")]
    return _NAMES.get(last, last).format(before if before in ("settings", "dead-letters") else "persona")
