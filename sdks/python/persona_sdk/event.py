"""One event as it travels: what an application gave, and JSON of it."""

import json
import uuid
from collections.abc import Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

SAMPLED = frozenset({"track", "page", "screen"})  # never what says who somebody is


class NotJson(ValueError):
    """A circle, NaN, half a surrogate, a type that JSON does not know."""


def build(
    kind: str,
    fields: Mapping[str, Any],
    *,
    user_id: str | None = None,
    anonymous_id: str | None = None,
    timestamp: datetime | None = None,
    context: Mapping[str, Any] | None = None,
    message_id: str | None = None,
) -> dict[str, Any]:
    """With a message id and an instant of its own, where none is given."""
    made = {
        "type": kind,
        "messageId": message_id or str(uuid.uuid4()),
        "timestamp": instant(timestamp or datetime.now(timezone.utc)),
        **fields,
    }
    if user_id is not None:
        made["userId"] = user_id
    if anonymous_id is not None:
        made["anonymousId"] = anonymous_id
    if context:
        made["context"] = dict(context)
    return made


def encoded(made: Mapping[str, Any]) -> bytes:
    """Raises NotJson."""
    try:
        return _encode(made).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise NotJson(str(error)) from error


def instant(value: datetime) -> str:
    """In UTC; without a zone it is local time, as everywhere in Python."""
    return value.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def _plain(value: object) -> str | float:
    """Instants, days and ids as text, decimals as numbers; anything else that JSON does not know is a mistake."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be sent: use str, int, float, bool, None, list, dict or datetime")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain).encode
