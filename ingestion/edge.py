"""From a request to a committed batch: key, limit, reading, inbox, answer. The same for every wire.

Never waits: what takes time (a key not in memory, the commit) comes as a future, so that an event loop can call it.
"""

import time
from concurrent.futures import Future
from functools import partial

from ingestion.caller import Headers, Reply, for_caller
from ingestion.dialects import Dialect
from ingestion.events import Reading
from ingestion.inbox import Row, inbox
from keys.auth import Principal
from keys.limits import charge
from persona.lib import ids, wire
from persona.lib.futures import then
from persona.lib.problems import Problem
from persona.lib.wire import Answer

SEND_EVENTS = "events:write"  # the scope


def accept(dialect: Dialect, headers: Headers, body: bytes) -> Reply:
    """The answer to one request of a wire. `body` is as it came, perhaps compressed. Raises nothing."""
    return for_caller(
        headers,
        scope=SEND_EVENTS,
        step=partial(take, dialect, headers.get("content-encoding"), body),
        refused=dialect.refused,
    )


def too_large(dialect: Dialect) -> Problem:
    """The body has more bytes, as sent or inflated, than the wire allows."""
    most = dialect.LIMITS.body_bytes
    return Problem(400, "request.too_large", f"At most {most} bytes a request, inflated; send it in parts.")


def take(dialect: Dialect, encoding: str | None, body: bytes, principal: Principal) -> Reply:
    """The same for a caller who is known already."""
    try:
        text = _inflated(dialect, encoding, body)
        if (session := principal.session) is not None:
            text = dialect.spoken_by(text, session.speaker, session.anonymous_id)
        reading = dialect.read(text)
    except Problem as problem:
        return dialect.refused(problem).having(*charge(principal, 1).headers())
    verdict = charge(principal, reading.n)
    lines = verdict.headers()

    def refused(problem: Problem) -> Answer:
        return dialect.refused(problem).having(*lines)

    if not verdict.ok:
        detail = f"More events than this key may send: at once {verdict.limit}, then as its rate allows."
        return refused(Problem(429, "rate.limited", detail, retry_after=verdict.retry_after))
    batch_id = ids.batch_id()
    if not reading.n:
        return dialect.accepted(reading, batch_id).having(*lines)
    try:
        stored = _put(dialect, principal, batch_id, reading, text)
    except Problem as problem:
        return refused(problem)
    # Written now: while the commit is awaited nobody shall hold the events: they are many times the size of the body.
    answer = dialect.accepted(reading, batch_id).having(*lines)
    return then(stored, lambda _: answer, refused)


def _inflated(dialect: Dialect, encoding: str | None, body: bytes) -> bytes:
    limit = dialect.LIMITS.body_bytes
    try:
        text = wire.inflate(body, encoding, limit)
    except wire.TooLarge:
        raise too_large(dialect) from None
    if len(text) > limit:
        raise too_large(dialect)
    return text


def _put(dialect: Dialect, principal: Principal, batch_id: str, reading: Reading, text: bytes) -> Future[None]:
    row = Row(
        project_id=principal.project_id,
        batch_id=batch_id,
        key_id=principal.key_id if principal.key_id > 0 else None,  # none: who signs has no key
        dialect=dialect.NAME,
        n=reading.n,
        received_at=time.time_ns() // 1_000_000,
        body=text,
    )
    return inbox.put(row)
