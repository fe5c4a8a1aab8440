"""GET /api/v2/pipeline/stream: a project's enters and leaves, as they happen, as server-sent events.

A raw ASGI route: through Django's handler every open response would hold a thread, and with the ORM a connection.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple
from urllib.parse import parse_qs

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from ingestion.door import SAFE
from keys.auth import Principal, credential, ring
from keys.permits import require_origin, require_scope
from keys.refusals import MISSING, refusal
from persona.lib import sse, wire
from persona.lib.log import get_logger
from persona.lib.problems import Problem
from persona.lib.wire import Receive, Scope, Send
from segments.streaming import feed
from segments.streaming.connection import Connection
from segments.streaming.feed import Piece
from segments.streaming.follower import Follower
from segments.streaming.hub import Hub, here

log = get_logger(__name__)

METHODS = "GET, OPTIONS"
NEEDED = "stream:read"  # the scope
RETRY_MS = 2_000  # how long a client waits before it comes back
PATIENCE = 5.0  # seconds for the database, before the stream starts; once open, a stream waits as long as it takes
CURSOR_DIGITS = 19  # more do not fit into a number of the log: certainly above its head

STREAM = (("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no"))

# What the project says about publishable keys, and why one is then refused.
PK_REFUSALS = {
    "off": "This project does not let publishable keys open streams.",
    "profile": "This project lets publishable keys see their own profile only: it takes a session token.",
}


class Wanted(NamedTuple):
    """A request whose caller is known. personas: slugs, empty for all; cursor: None for "from now on"."""

    principal: Principal
    personas: frozenset[str]
    cursor: int | None


class Opening(NamedTuple):
    """A stream that may start: with this piece, through this filter (None: all personas)."""

    principal: Principal
    hub: Hub
    follower: Follower
    first: Piece
    personas: frozenset[int] | None


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application of this one route. Every refusal comes before the stream starts, as a problem document."""
    headers = wire.header_map(scope["headers"])
    named = (("x-request-id", wire.request_id(headers.get("x-request-id"))), *SAFE)
    readable = wire.cors(headers.get("origin"))
    with ExitStack() as held:
        try:
            _check_host(headers)
            if scope["method"] == "OPTIONS":
                await wire.send_answer(send, wire.preflight(headers.get("origin"), METHODS), named)
                return
            if scope["method"] != "GET":
                raise Problem(405, "request.method", "A stream is opened with GET.", headers=(("allow", METHODS),))
            opening = await _opening(await _wanted(headers, scope["query_string"]), held)
        except Exception as error:  # the last resort: an answer, never a dropped connection
            await wire.send_answer(send, wire.problem_answer(_problem(error)), (*named, *readable))
            return
        await _start(send, opening.first, (*STREAM, *named, *readable))
        await _hold(opening, receive, send)


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    log.error("stream.open_failed", exc_info=error)
    return Problem(500, "internal", "The fault is ours. The request id leads to the log.")


def _check_host(headers: Mapping[str, str]) -> None:
    """What Django's handler would do."""
    domain, _ = split_domain_port(headers.get("host", ""))
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        raise Problem(400, "request.host", "This server does not answer to that Host. See PERSONA_ALLOWED_HOSTS.")


async def _wanted(headers: Mapping[str, str], query_string: bytes) -> Wanted:
    query = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    principal = await _principal(headers)
    given = headers.get("last-event-id") or query.get("lastEventId", [""])[-1]
    return Wanted(principal, frozenset(query.get("persona", ())), _cursor(given))


async def _principal(headers: Mapping[str, str]) -> Principal:
    key = credential(headers)
    if key is None:
        raise refusal(MISSING)
    principal = ring.cached(key)
    if principal is None:
        principal = await asyncio.wrap_future(ring.lookup(key))
    require_origin(principal, headers.get("origin"))
    require_scope(principal, NEEDED)
    if principal.kind == "pk" and principal.options.pk_streams != "project":
        detail = PK_REFUSALS.get(principal.options.pk_streams, PK_REFUSALS["off"])
        raise Problem(403, "stream.not_allowed", detail)
    return principal


def _cursor(given: str) -> int | None:
    if not given:
        return None
    if not (given.isascii() and given.isdigit()):
        raise Problem(400, "stream.bad_cursor", "Last-Event-ID must be the id of a frame: a decimal number.")
    return int(given) if len(given) <= CURSOR_DIGITS else 10**CURSOR_DIGITS


async def _opening(wanted: Wanted, held: ExitStack) -> Opening:
    """Everything that is needed from the database. The follower stays as long as `held` is open."""
    hub = here()
    follower = held.enter_context(hub.following(wanted.principal.project_id))
    try:
        async with asyncio.timeout(PATIENCE):
            personas = await _personas(hub, wanted) if wanted.personas else None
            oldest, head = await follower.bounds()
    except TimeoutError:
        detail = "The log of changes cannot be read right now. Try again in a moment."
        raise Problem(503, "stream.unavailable", detail, retry_after=2) from None
    return Opening(wanted.principal, hub, follower, _first(wanted.cursor, oldest, head), personas)


async def _personas(hub: Hub, wanted: Wanted) -> frozenset[int]:
    sane = {slug for slug in wanted.personas if "\x00" not in slug}  # PostgreSQL takes no such text
    found = await hub.reader.personas(wanted.principal.project_id, sane)
    unknown = sorted(wanted.personas - found.keys())
    if unknown:
        raise Problem(404, "stream.unknown_persona", f"This project has no persona {unknown[0]!r}.")
    return frozenset(found.values())


def _first(cursor: int | None, oldest: int, head: int) -> Piece:
    if cursor is None:
        # A frame with the place at once: who loses the connection before the first change can resume from it.
        return Piece(head, feed.heartbeat(head), 0)
    if not oldest - 1 <= cursor <= head:
        return feed.reset(oldest, head)
    return Piece(cursor, b"", 0)


async def _start(send: Send, first: Piece, headers: tuple[tuple[str, str], ...]) -> None:
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    opening = b": open\n\n" + sse.retry(RETRY_MS) + first.body
    await send({"type": "http.response.body", "body": opening, "more_body": True})


async def _hold(opening: Opening, receive: Receive, send: Send) -> None:
    """Until the client leaves or the response has been ended; both arrive as a disconnect."""
    connection = Connection(send=send, principal=opening.principal, personas=opening.personas, cursor=opening.first.to)
    with opening.hub.serving(connection, opening.follower):
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            # The server stops, or a socket that takes no end is cut. This task is the server's own: it ends here.
            connection.end()
