"""POST /api/v2/pipeline/stream/tickets: a ticket for whoever cannot send a header when opening a stream."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlencode

import msgspec

from ingestion.accepting.caller import Headers
from ingestion.accepting.door import Door
from persona.lib.clock import rfc3339
from persona.lib.problems import Problem
from persona.lib.wire import Answer, problem_answer
from segments.streaming import asking, tickets
from segments.streaming.figures import tally
from segments.streaming.hub import here

BODY_BYTES = 16 * 1024
STREAM = "/api/v2/pipeline/stream"


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """The body. persona: slugs; without any, all of the project: so what only looks like a filter is refused."""

    persona: list[str] = []


def issue(headers: Headers, body: bytes) -> Future[Answer]:
    """201 with the ticket and the address to open."""
    return asyncio.run_coroutine_threadsafe(_answered(_issued(headers, body)), asyncio.get_running_loop())


async def _answered(work: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        return await work
    except Problem as problem:
        tally.refused[problem.code] += 1
        return problem_answer(problem)


async def _issued(headers: Headers, body: bytes) -> Answer:
    principal = await asking.caller(headers)
    user = asking.user_of(principal)
    order = _order(body)
    hub = here()
    async with hub.answering():
        personas = frozenset(order.persona)
        await hub.personas(principal.project_id, personas)
        origin = headers.get("origin", "")
        text, grant = await tickets.issue(hub.reader, principal, personas=personas, origin=origin, user=user)
    document = {
        "ticket": text,
        "url": f"{STREAM}?{urlencode({'ticket': text})}",
        "expiresAt": rfc3339(grant.ends_at),
    }
    return Answer(201, msgspec.json.encode(document), headers=(("cache-control", "no-store"),))


def _order(body: bytes) -> Order:
    try:
        return msgspec.json.decode(body, type=Order) if body.strip() else Order()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = f'The body must be JSON such as {{"persona": ["high_intent"]}}, or empty: {error}.'
        raise Problem(400, "request.invalid", detail) from None


def _too_large() -> Problem:
    return Problem(400, "request.too_large", f"The body may have at most {BODY_BYTES} bytes.")


DESK = Door(methods=("POST",), behind=issue, body_bytes=BODY_BYTES, too_large=_too_large, keyed=False)
