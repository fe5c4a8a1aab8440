"""GET /api/v2/pipeline/stream: a project's enters and leaves, as they happen, as server-sent events.

A raw ASGI route: through Django's handler every open response would hold a thread, and with the ORM a connection.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from ingestion.accepting.door import SAFE
from persona.lib import sse, wire
from persona.lib.log import get_logger
from persona.lib.problems import Problem
from persona.lib.wire import Receive, Scope, Send
from segments.streaming import asking, feed, tickets
from segments.streaming.asking import Wanted
from segments.streaming.connection import Connection, Held, Pipe
from segments.streaming.feed import Piece, View
from segments.streaming.figures import tally
from segments.streaming.follower import Follower
from segments.streaming.hub import Hub, here

log = get_logger(__name__)

METHODS = "GET, OPTIONS"
RETRY_MS = 2_000  # how long a client waits before it comes back
PIPE = "persona.pipe"  # of persona.serving.protocol

STREAM = (("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no"))


class Opening(NamedTuple):
    """A stream that may start: with this piece, through this view; holder: its number as the user of its ticket."""

    wanted: Wanted
    hub: Hub
    follower: Follower
    first: Piece
    view: View
    holder: int


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
            opening = await _opening(await asking.wanted(headers, scope["query_string"]), held)
        except Exception as error:  # the last resort: an answer, never a dropped connection
            problem = _problem(error, named[0][1])
            tally.refused[problem.code] += 1
            await wire.send_answer(send, wire.problem_answer(problem), (*named, *readable))
            return
        await _start(send, opening.first, (*STREAM, *named, *readable))
        # What is not needed any more is held for hours otherwise, ten thousand times.
        pipe = scope.get("extensions", {}).get(PIPE)
        scope["headers"].clear()
        del headers, named, readable, scope
        connection = _connection(opening, send, pipe)
        hub, follower = opening.hub, opening.follower
        del opening
        with hub.serving(connection, follower):
            await _hold(connection, receive)


def _problem(error: Exception, request_id: str) -> Problem:
    if isinstance(error, Problem):
        return error
    log.error("stream.open_failed", exc_info=error, request_id=request_id)
    return Problem(500, "internal", "The fault is ours. The request id leads to the log.")


def _check_host(headers: Mapping[str, str]) -> None:
    """What Django's handler would do."""
    domain, _ = split_domain_port(headers.get("host", ""))
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        raise Problem(400, "request.host", "This server does not answer to that Host. See PERSONA_ALLOWED_HOSTS.")


async def _opening(wanted: Wanted, held: ExitStack) -> Opening:
    """Everything that is needed from the database. The follower stays as long as `held` is open."""
    hub, project_id, holder = here(), wanted.principal.project_id, 0
    follower = held.enter_context(hub.following(wanted.principal))
    async with hub.answering():
        personas = await hub.personas(project_id, wanted.personas)
        if wanted.grant is not None:
            holder = await tickets.claim(hub.reader, wanted.grant)
        oldest, head = await follower.bounds()
        view = View(personas, await _profile(hub, project_id, wanted.user))
    return Opening(wanted, hub, follower, _first(wanted.cursor, oldest, head), view, holder)


async def _profile(hub: Hub, project_id: int, user: str | None) -> int | None:
    """None for a user who has no profile yet, too: the stream then waits for one."""
    return None if user is None else (await hub.reader.profiles(project_id, {user})).get(user)


def _first(cursor: int | None, oldest: int, head: int) -> Piece:
    if cursor is None:
        # A frame with the place at once: who loses the connection before the first change can resume from it.
        return feed.heartbeat(head)
    if not oldest - 1 <= cursor <= head:
        return feed.reset(oldest, head)
    return Piece(cursor, b"", 0)


async def _start(send: Send, first: Piece, headers: tuple[tuple[str, str], ...]) -> None:
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    opening = sse.comment("open") + sse.retry(RETRY_MS) + first.body
    await send({"type": "http.response.body", "body": opening, "more_body": True})


def _connection(opening: Opening, send: Send, pipe: Pipe | None) -> Connection:
    wanted = opening.wanted
    return Connection(
        send=send,
        pipe=pipe,
        principal=wanted.principal,
        view=opening.view,
        cursor=opening.first.to,
        identity=wanted.user,
        held=None if wanted.grant is None else Held(wanted.grant.id, opening.holder),
        ends_in=wanted.ends_in,
    )


async def _hold(connection: Connection, receive: Receive) -> None:
    """Until the client leaves or the response has been ended; both arrive as a disconnect."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except asyncio.CancelledError:
        # The server stops, or a socket that takes no end is cut. This task is the server's own: it ends here.
        connection.stop()
