"""Mixpanel's /import with strict=1: a 400 has taken all events but those it names, which will never be taken.

`$insert_id` makes a repeated event harmless there.
"""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from delivery.outgoing import Happened, Item, Target, Verdict, said, usual
from persona.lib.outbound import Answer, Request

BATCH = 500
MOST = 2_000
ANSWER_BYTES = 512 * 1024  # it may name each of MOST events with what is wrong with it
PATH = "/import?strict=1"
URL = "https://api.mixpanel.com"
WAIT_SECONDS = 10  # after a 429 that names no time: its limit counts a minute


class Failed(msgspec.Struct):
    """An entry of `failed_records`. An insert_id says which event it is, its index does when there is none."""

    index: int = -1
    insert_id: str = ""
    field: str = ""
    message: str = ""


class Said(msgspec.Struct):
    """An answer of its."""

    error: str = ""
    failed_records: list[Failed] = []


def request(target: Target, items: Sequence[Item], *, now: int) -> Request:
    """The project token is the user name."""
    credential = base64.b64encode(f"{target.secrets[0]}:".encode()).decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {credential}"}
    events = [_event(item.event) for item in items if item.event is not None]
    return Request(target.url.rstrip("/") + PATH, msgspec.json.encode(events), headers, ANSWER_BYTES)


def verdict(items: Sequence[Item], answer: Answer) -> Verdict:
    keys = [item.key for item in items]
    if answer.status == 413:
        return Verdict(later=keys, too_large=True, error="It answered 413: too much at once.")
    if answer.status == 400 and (failed := _failed(keys, answer)):
        return Verdict(refused=failed, error=f"It refused {len(failed)} of {len(keys)} events.")
    if answer.status in (401, 403):
        return Verdict(later=keys, error=f"It answered {answer.status}.", pause="Mixpanel does not know this token.")
    if answer.status == 429:
        wait = answer.retry_after or WAIT_SECONDS
        return Verdict(later=keys, wait=wait, error="It answered 429: too many events.", blame=True)
    return usual(items, answer)


def _event(event: Happened) -> dict[str, Any]:
    known = {
        "time": event.at,
        "distinct_id": event.user or event.device or "",
        "$insert_id": event.id,
        "$user_id": event.user,
        "$device_id": event.device,
    }
    return {
        "event": event.name,
        "properties": {**event.properties, **{name: value for name, value in known.items() if value is not None}},
    }


def _failed(keys: Sequence[str], answer: Answer) -> dict[str, str]:
    document = said(answer, Said) or Said()
    found: dict[str, str] = {}
    for record in document.failed_records:
        key = (
            record.insert_id
            if record.insert_id in keys
            else keys[record.index]
            if 0 <= record.index < len(keys)
            else ""
        )
        if key:
            found[key] = f"{record.field}: {record.message}"[:200]
    return found
