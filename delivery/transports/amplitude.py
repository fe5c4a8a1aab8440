"""Amplitude's HTTP V2 API, as it answers: 400 names the bad events and takes none; 429 names who sends too much.

An `insert_id` makes a repeated event harmless there for seven days.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from delivery.outgoing import Happened, Item, Target, Verdict, said, usual
from persona.lib.outbound import Answer, Request

BATCH = 100
MOST = 1_000
ANSWER_BYTES = 512 * 1024  # it may name each of MOST events, several times
PATH = "/2/httpapi"
URL = "https://api2.amplitude.com"
THROTTLED_SECONDS = 30  # what its documentation asks to wait
ID_LENGTH = 1  # its default refuses ids of less than five characters

# Lists of positions, or maps from a field or an id to one.
REFUSING = ("events_with_invalid_fields", "events_with_missing_fields", "events_with_invalid_id_lengths")
SILENCED = "silenced_events"
QUOTAS = ("exceeded_daily_quota_users", "exceeded_daily_quota_devices")


def request(target: Target, items: Sequence[Item], *, now: int) -> Request:
    document = {
        "api_key": target.secrets[0],
        "events": [_event(item.event) for item in items if item.event is not None],
        "options": {"min_id_length": ID_LENGTH},
    }
    headers = {"content-type": "application/json"}
    return Request(target.url.rstrip("/") + PATH, msgspec.json.encode(document), headers, ANSWER_BYTES)


def verdict(items: Sequence[Item], answer: Answer) -> Verdict:
    document = said(answer, dict[str, Any]) or {}
    keys = [item.key for item in items]
    if answer.status == 413:
        return Verdict(later=keys, too_large=True, error="It answered 413: too much at once.")
    if answer.status == 400:
        return _refused(keys, document)
    if answer.status == 429:
        return _throttled(items, document, answer)
    return usual(items, answer)


def _event(event: Happened) -> dict[str, Any]:
    who = {"user_id": event.user, "device_id": event.device}
    return {
        "event_type": event.name,
        "time": event.at,
        "insert_id": event.id,
        "event_properties": event.properties,
        **{name: value for name, value in who.items() if value},
    }


def _refused(keys: Sequence[str], document: Mapping[str, Any]) -> Verdict:
    error = f"It answered 400: {str(document.get('error', ''))[:200]}"
    reasons: dict[str, str] = {}
    for name in REFUSING:
        fields = document.get(name)
        for field, places in fields.items() if isinstance(fields, dict) else ():
            reasons |= dict.fromkeys(_at(keys, places), f"{name}: {field}"[:200])
    reasons |= dict.fromkeys(_at(keys, document.get(SILENCED)), SILENCED)
    if not reasons:
        wrong_key = "api" in str(document.get("error", "")).lower()
        return Verdict(later=keys, error=error, pause="Amplitude does not know this API key." if wrong_key else "")
    return Verdict(refused=reasons, again=[key for key in keys if key not in reasons], error=error)


def _throttled(items: Sequence[Item], document: Mapping[str, Any], answer: Answer) -> Verdict:
    keys = [item.key for item in items]
    spent: set[str] = set()
    for name in QUOTAS:
        ids = document.get(name)
        spent |= {str(one) for one in ids} if isinstance(ids, dict | list) else set()
    over = {
        item.key: "The daily quota of this user or device is exceeded."
        for item in items
        if item.event is not None and {item.event.user, item.event.device} & spent
    }
    late = set(_at(keys, document.get("throttled_events"))) - over.keys()
    if not late and not over:
        late = set(keys)
    return Verdict(
        refused=over,
        later=[key for key in keys if key in late],
        again=[key for key in keys if key not in late and key not in over],
        wait=answer.retry_after or THROTTLED_SECONDS,
        error="It answered 429: too many events.",
        blame=len(late) == len(keys),
    )


def _at(keys: Sequence[str], places: Any) -> Iterable[str]:
    if not isinstance(places, list):
        return []
    return [keys[place] for place in places if isinstance(place, int) and 0 <= place < len(keys)]
