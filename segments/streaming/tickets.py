"""Tickets: they open streams where no header can be sent, as with a browser's own EventSource.

The text of a ticket is sealed: what it allows is in it, and nobody but this installation can read it. A row says when
it was last in use and by which stream: it opens one stream at a time, and is good for little once it has leaked.
"""

import random
import secrets

import msgspec
from django.conf import settings

from keys import sealed
from keys.auth import Principal
from keys.tokens import Kind, Mode, Token
from persona.lib.clock import MS_PER_SECOND
from persona.lib.problems import Problem
from segments.streaming.reader import Reader

LINGERS = 65  # seconds that it can be used again after its stream has ended: 60, and what `seen` may be late
LIFETIME = 12 * 3_600  # seconds
CHARACTERS = 8_192  # the longest that is looked at
BAD = "stream.ticket_invalid"

NOW = "floor(extract(epoch from statement_timestamp()) * 1000)::bigint"
# Everybody has a publishable key: no key has more live tickets than it may have streams.
NEW = f"""
insert into segments_streamticket (project_id, id, key_id, seen_at)
select %(project)s, %(id)s, %(key)s, {NOW}
where (select count(*) from segments_streamticket
       where project_id = %(project)s and key_id = %(key)s and seen_at > {NOW} - %(lingers)s) < %(most)s
on conflict (project_id, id) do update set seen_at = excluded.seen_at
returning seen_at
"""  # noqa: S608 - put together from constants
CLAIM = f"""
update segments_streamticket set holder = %(holder)s, seen_at = {NOW}
where project_id = %(project)s and id = %(id)s and (seen_at > {NOW} - %(lingers)s or holder = %(holder)s)
returning seen_at
"""  # noqa: S608 - put together from constants
SEEN = f"""
update segments_streamticket t set seen_at = {NOW}
from unnest(%(ids)s::bigint[], %(holders)s::bigint[]) as open(id, holder)
where t.project_id = %(project)s and t.id = open.id and t.holder = open.holder
returning t.id
"""  # noqa: S608 - put together from constants


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What a ticket allows. personas: slugs; origin: of the page that asked for it, or ''; user: the only one whose
    profile is shown, or None; issued: ms."""

    project_id: int
    id: int
    key_id: int
    kind: Kind
    mode: Mode
    lookup: str
    personas: tuple[str, ...]
    origin: str
    user: str | None
    issued: int

    @property
    def token(self) -> Token:
        """The key behind it, vouched for by our own seal instead of its digest."""
        return Token(self.kind, self.mode, self.lookup, self.lookup.encode(), self.key_id)

    @property
    def ends_at(self) -> int:
        """ms"""
        return self.issued + LIFETIME * MS_PER_SECOND


async def issue(
    reader: Reader, principal: Principal, *, personas: frozenset[str], origin: str, user: str | None
) -> tuple[str, Grant]:
    """A new ticket. Raises Problem 429 when its key has very many."""
    number = secrets.randbits(63)
    params = {
        "project": principal.project_id,
        "id": number,
        "key": principal.key_id,
        "lingers": LINGERS * MS_PER_SECOND,
        "most": settings.PERSONA_STREAM_KEY_LIMIT,
    }
    rows = await reader.rows(NEW, params)
    if not rows:
        raise Problem(429, "stream.key_limit", "This key has very many tickets already.", retry_after=LINGERS)
    grant = Grant(
        principal.project_id,
        number,
        principal.key_id,
        principal.kind,
        principal.mode,
        principal.lookup,
        tuple(sorted(personas)),
        origin,
        user,
        rows[0][0],
    )
    return sealed.seal(msgspec.json.encode(grant).decode()), grant


def opened(text: str, *, origin: str, now: int) -> Grant:
    """What the ticket allows. Raises Problem 401 for one that is not ours, too old, or another page's."""
    if len(text) > CHARACTERS:
        raise refused()
    try:
        grant = msgspec.json.decode(sealed.unseal(text), type=Grant)
    except (sealed.Unreadable, msgspec.MsgspecError, ValueError):
        raise refused() from None
    if now > grant.ends_at:
        raise refused("This ticket is more than twelve hours old.")
    if origin and origin != grant.origin:
        raise refused("This ticket was made for another origin.")
    return grant


async def claim(reader: Reader, grant: Grant) -> int:
    """Make a new stream its only one; the number of that stream. Raises Problem 401: unused for too long."""
    holder = random.getrandbits(63)
    params = {
        "project": grant.project_id,
        "id": grant.id,
        "holder": holder,
        "lingers": LINGERS * MS_PER_SECOND,
    }
    if not await reader.rows(CLAIM, params):
        raise refused("This ticket has not been in use for more than a minute.")
    return holder


async def seen(reader: Reader, project_id: int, held: dict[int, int]) -> set[int]:
    """Say that they are in use. held: by ticket, the number of its stream; the tickets for which that is still true."""
    params = {"project": project_id, "ids": list(held), "holders": list(held.values())}
    return {row[0] for row in await reader.rows(SEEN, params)}


def refused(detail: str = "This is no ticket of this server.") -> Problem:
    """Whatever is wrong with it: get another."""
    return Problem(401, BAD, f"{detail} Ask for a new one.")
