"""Who asks for a stream, and for which: from the headers and the query of a request to what is wanted, or a Problem."""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

from keys import auth
from keys.auth import Principal, credential
from keys.permits import require_origin, require_scope
from keys.refusals import MISSING, refusal
from persona.lib.clock import MS_PER_SECOND
from persona.lib.problems import Problem
from segments.streaming import tickets
from segments.streaming.connection import NEEDED
from segments.streaming.tickets import Grant

CURSOR_DIGITS = 19  # more do not fit into a number of the log: certainly above its head

# What the project says about publishable keys, and why one is then refused.
REFUSALS = {
    "off": "This project does not let publishable keys open streams.",
    "profile": "This project lets publishable keys see the profile of a signed-in user only: send a session token "
    "whose user was signed by the project's server.",
}


class Wanted(NamedTuple):
    """A request whose caller is known and may.

    personas: slugs, empty for all; cursor: None for "from now on"; user: the only one whose profile is shown, None for
    all; grant: of the ticket that it came with; ends_in: seconds until what it came with is no longer good, or None.
    """

    principal: Principal
    personas: frozenset[str]
    cursor: int | None
    user: str | None
    grant: Grant | None
    ends_in: float | None


async def wanted(headers: Mapping[str, str], query_string: bytes) -> Wanted:
    """Raises Problem 400, 401, 403 or 503."""
    query = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    given = headers.get("last-event-id", "").strip() or query.get("lastEventId", [""])[-1]
    personas = frozenset(query.get("persona", ()))
    if "ticket" in query and credential(headers) is None:
        found = await _by_ticket(query["ticket"][-1], headers.get("origin", ""), personas, cursor(given))
        auth.ring.note(found.principal, "stream", headers)
        return found
    principal = await caller(headers)
    user, ends_in = user_of(principal), None
    if principal.session is not None:
        ends_in = principal.session.expires_at - time.time()
    return Wanted(principal, personas, cursor(given), user, None, ends_in)


async def caller(headers: Mapping[str, str]) -> Principal:
    """Whoever the key or session token speaks for, if it may open streams at all."""
    given = credential(headers)
    if given is None:
        raise refusal(MISSING)
    principal = auth.cached(given)
    if principal is None:
        principal = await asyncio.wrap_future(auth.lookup(given))
    require_origin(principal, headers.get("origin"))
    require_scope(principal, NEEDED)
    auth.ring.note(principal, "stream", headers)
    return principal


def user_of(principal: Principal) -> str | None:
    """The only user whose profile the caller may see; None: the whole project. Raises Problem 403."""
    mode = "project" if principal.kind == "sk" else principal.options.pk_streams
    if mode == "project":
        return None
    user = principal.session.user_id if principal.session else None
    if mode == "off" or user is None:
        raise Problem(403, "stream.not_allowed", REFUSALS[mode])
    return user


def cursor(given: str) -> int | None:
    """Raises Problem 400 for what is no number."""
    if not given:
        return None
    if not (given.isascii() and given.isdigit()):
        raise Problem(400, "stream.bad_cursor", "Last-Event-ID must be the id of a frame: a decimal number.")
    return int(given) if len(given) <= CURSOR_DIGITS else 10**CURSOR_DIGITS


async def _by_ticket(text: str, origin: str, personas: frozenset[str], place: int | None) -> Wanted:
    """The rights are those that the key has now; the user was proven when the ticket was made."""
    now = int(time.time() * MS_PER_SECOND)
    grant = tickets.opened(text, origin=origin, now=now)
    if personas and personas != frozenset(grant.personas):
        raise tickets.refused("This ticket was made for other personas.")
    principal = await asyncio.wrap_future(auth.ring.lookup(grant.token))
    require_origin(principal, origin or None)
    require_scope(principal, NEEDED)
    if grant.user is None:
        user_of(principal)
    elif principal.options.pk_streams == "off":
        raise Problem(403, "stream.not_allowed", REFUSALS["off"])
    ends_in = (grant.ends_at - now) / MS_PER_SECOND
    return Wanted(principal, frozenset(grant.personas), place, grant.user, grant, ends_in)
