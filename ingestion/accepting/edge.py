"""From a request to a committed batch: key, limit, reading, inbox, answer. The same for every wire.

Never waits: what takes time (a key not in memory, the commit) comes as a future, so that an event loop can call it.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from prometheus_client import Counter

from ingestion.accepting import pressure
from ingestion.accepting.caller import Headers, Reply, for_caller
from ingestion.accepting.inbox import inbox
from ingestion.accepting.inbox_line import Row
from ingestion.accepting.readers import AT_ONCE, readers, size_of
from ingestion.applying import arrivals
from ingestion.dialects import Dialect
from ingestion.events import Outcome
from keys.auth import Principal
from keys.limits.buckets import UNLIMITED, Verdict
from keys.limits.charging import charge, spent
from persona.lib import ids, tracing, wire
from persona.lib.futures import then
from persona.lib.problems import Problem
from persona.lib.wire import Answer

SEND_EVENTS = "events:write"  # the scope
REFUSED = Counter("persona_ingest_refusals", "Requests that were refused as a whole.", ["wire", "code"])
READ_BYTES = 4 * 1024  # of a body that nobody can read, for one token


def accept(dialect: Dialect, headers: Headers, body: bytes) -> Reply:
    """The answer to one request of a wire. `body` is as it came, perhaps compressed. Raises nothing."""
    return for_caller(
        headers,
        scope=SEND_EVENTS,
        way="events",
        step=partial(take, dialect, headers.get("content-encoding"), body),
        refused=dialect.refused,
    )


def too_large(dialect: Dialect) -> Problem:
    """The body has more bytes, as sent or inflated, than the wire allows."""
    most = dialect.LIMITS.body_bytes
    return Problem(400, "request.too_large", f"At most {most} bytes a request, inflated; send it in parts.")


def take(dialect: Dialect, encoding: str | None, body: bytes, principal: Principal) -> Reply:
    """The same for a caller who is known already."""
    if (full := pressure.refusal()) is not None:
        return _refused(dialect, full)
    if (verdict := spent(principal)) is not None and (problem := verdict.problem()) is not None:
        return _refused(dialect, problem, verdict)
    if size_of(body, encoding) <= AT_ONCE:
        return _read(dialect, encoding, body, principal)
    work = partial(_read, dialect, encoding, body, principal)
    try:
        return then(readers.run(len(body), work), lambda reply: reply, partial(_refused, dialect))
    except Problem as crowd:
        return _refused(dialect, crowd)


def _read(dialect: Dialect, encoding: str | None, body: bytes, principal: Principal) -> Reply:
    try:
        text = _inflated(dialect, encoding, body)
        if (session := principal.session) is not None:
            text = dialect.spoken_by(text, session.speaker, session.anonymous_id)
        outcome = dialect.judge(text)
    except Problem as problem:
        # What nobody can read is work all the same: it costs what is there, up to a token for each READ_BYTES.
        cost = 1 + size_of(body, encoding) // READ_BYTES
        return _when(charge(principal, cost, partly=True), partial(_refused, dialect, problem))
    return _when(charge(principal, outcome.n), partial(_charged, dialect, principal, outcome, text))


def _when(verdict: "Verdict | Future[Verdict]", step: Callable[[Verdict], Reply]) -> Reply:
    """`step` with the verdict, which may take asking Redis."""
    return then(verdict, step, _never) if isinstance(verdict, Future) else step(verdict)


def _never(problem: Problem) -> Answer:
    raise problem  # a verdict says no, it raises nothing


def _charged(dialect: Dialect, principal: Principal, outcome: Outcome, text: bytes, verdict: Verdict) -> Reply:
    if (problem := verdict.problem()) is not None:
        return _refused(dialect, problem, verdict)
    batch_id = ids.batch_id()
    # Written now: while the commit is awaited nobody shall hold what the reading found.
    answer = dialect.accepted(outcome, batch_id).having(*verdict.headers())
    if not outcome.n:
        return answer
    try:
        stored = _put(dialect, principal, batch_id, outcome.n, text)
    except Problem as crowd:
        return _refused(dialect, crowd, verdict)
    refused = partial(_refused, dialect, verdict=verdict)
    if tracing.on():
        return then(stored, partial(_traced, dialect, answer, _uids(dialect, text, batch_id), tracing.now()), refused)
    return then(stored, lambda _: answer, refused)


def _traced(dialect: Dialect, answer: Answer, uids: Sequence[bytes], began: int, _: None) -> Answer:
    tracing.tell(uids, tracing.ROOT, began=began, wire=dialect.NAME)
    return answer


def _uids(dialect: Dialect, text: bytes, batch_id: str) -> Sequence[bytes]:
    """Of the events that are looked at."""
    uids = (arrivals.uid_of(event, batch_id) for event in dialect.read(text).events)
    return [uid for uid in uids if tracing.looked_at(uid)]


def _refused(dialect: Dialect, problem: Problem, verdict: Verdict = UNLIMITED) -> Answer:
    REFUSED.labels(dialect.NAME, problem.code).inc()
    return dialect.refused(problem).having(*verdict.headers())


def _inflated(dialect: Dialect, encoding: str | None, body: bytes) -> bytes:
    limit = dialect.LIMITS.body_bytes
    try:
        text = wire.inflate(body, encoding, limit)
    except wire.TooLarge:
        raise too_large(dialect) from None
    if len(text) > limit:
        raise too_large(dialect)
    return text


def _put(dialect: Dialect, principal: Principal, batch_id: str, n: int, text: bytes) -> Future[None]:
    row = Row(
        project_id=principal.project_id,
        batch_id=batch_id,
        key_id=principal.key_id if principal.key_id > 0 else None,  # none: who signs has no key
        dialect=dialect.NAME,
        n=n,
        received_at=time.time_ns() // 1_000_000,
        body=text,
    )
    return inbox.put(row)
