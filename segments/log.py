"""The change log, read: the one way in which everybody follows a project's enters and leaves.

Numbers are gap-free and in commit order, so whoever has read up to n and asks for what comes after n misses nothing.
"""

from collections.abc import Collection
from typing import Any

import msgspec
from django.db import connection

# The inner select is limited before it is joined: the plan stays a walk along the primary key, however large the
# tables are. Outer joins, because a row of the log must never be missing from an answer.
AFTER = """
select c.seq, coalesce(p.public_id, ''), c.profile_id, coalesce(s.slug, ''), c.persona_id, c.op, c.at, c.cause,
       c.version, encode(c.trigger, 'hex'), c.late_ms, c.silent
from (select * from segments_change
      where project_id = %(project)s and seq > %(seq)s
        and (%(personas)s::bigint[] is null or persona_id = any(%(personas)s::bigint[]))
      order by seq limit %(limit)s) c
left join ingestion_profile p on p.project_id = c.project_id and p.id = c.profile_id
left join segments_persona s on s.project_id = c.project_id and s.id = c.persona_id
where c.project_id = %(project)s
order by c.seq
"""

# A statement of its own: a profile has few rows, and an index that finds them.
AFTER_OF_ONE = AFTER.replace("order by seq limit", "and profile_id = %(profile)s order by seq limit")

# The newest first. Nothing is indexed by persona: its rows are looked for among the newest WALKED of the project.
NEWEST = AFTER.replace("order by seq limit", "order by seq desc limit").replace(
    "order by c.seq\n", "order by c.seq desc\n"
)
NEWEST_OF_ONE = NEWEST.replace(
    "order by seq desc limit", "and profile_id = %(profile)s and at < %(before)s order by seq desc limit"
)
WALKED = 20_000

# An empty log begins one after its head. One statement, so that both numbers are of the same instant.
BOUNDS = """
select coalesce((select min(seq) from segments_change where project_id = %(project)s), h.last_seq + 1), h.last_seq
from segments_head h where h.project_id = %(project)s
"""
NOTHING_YET = (1, 0)

# One probe of the index of a profile's history for each row.
PREVIOUS = """
select r.seq, (select c.seq from segments_change c
               where c.project_id = %(project)s and c.profile_id = r.profile and c.persona_id = r.persona
                 and c.seq < r.seq order by c.seq desc limit 1)
from unnest(%(seqs)s::bigint[], %(profiles)s::bigint[], %(personas)s::bigint[]) as r(seq, profile, persona)
"""


class LogRow(msgspec.Struct, frozen=True, gc=False):
    """One enter or leave.

    seq: its number in the project; profile, persona: public id and slug; at: when it took effect, milliseconds;
    version: of the rule; trigger: uid of the event behind it, hex; late_ms: how late that event came;
    silent: for lists and replays, not for streams and deliveries.
    """

    seq: int
    profile: str
    profile_id: int
    persona: str
    persona_id: int
    op: str
    at: int
    cause: str
    version: int
    trigger: str | None
    late_ms: int | None
    silent: bool


def after_statement(
    project_id: int, seq: int, personas: Collection[int] | None, limit: int, profile_id: int | None
) -> tuple[str, dict[str, Any]]:
    """The SQL of `after` and its parameters. personas: ids to keep, None for all; profile_id: the only one to keep."""
    kept = None if personas is None else list(personas)
    params = {"project": project_id, "seq": seq, "personas": kept, "limit": limit}
    return (AFTER, params) if profile_id is None else (AFTER_OF_ONE, {**params, "profile": profile_id})


def after(
    project_id: int, seq: int, personas: Collection[int] | None, limit: int, profile_id: int | None = None
) -> list[LogRow]:
    """At most `limit` rows with a number above `seq`, in order; of one profile alone when that is given."""
    with connection.cursor() as cursor:
        cursor.execute(*after_statement(project_id, seq, personas, limit, profile_id))
        return [LogRow(*row) for row in cursor.fetchall()]


def newest(project_id: int, persona_id: int | None = None, *, limit: int) -> list[LogRow]:
    """The newest rows of a project, or of one of its personas as far as WALKED reaches; newest first."""
    personas = None if persona_id is None else [persona_id]
    asked = {"project": project_id, "seq": max(0, bounds(project_id)[1] - WALKED), "personas": personas, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, asked)
        return [LogRow(*row) for row in cursor.fetchall()]


def newest_of(project_id: int, profile_id: int, *, before: int, limit: int) -> list[LogRow]:
    """The newest rows of one profile that took effect before an instant (ms); newest first."""
    asked = {"project": project_id, "seq": 0, "personas": None, "limit": limit, "profile": profile_id, "before": before}
    with connection.cursor() as cursor:
        cursor.execute(NEWEST_OF_ONE, asked)
        return [LogRow(*row) for row in cursor.fetchall()]


def previous(project_id: int, rows: Collection[LogRow]) -> dict[int, int | None]:
    """By number: the number of the row before it of the same profile and persona; None for a first, or a pruned one."""
    columns = {
        "seqs": [row.seq for row in rows],
        "profiles": [row.profile_id for row in rows],
        "personas": [row.persona_id for row in rows],
    }
    with connection.cursor() as cursor:
        cursor.execute(PREVIOUS, {"project": project_id, **columns})
        return dict(cursor.fetchall())


def bounds(project_id: int) -> tuple[int, int]:
    """The oldest kept number and the newest: (oldest, head); (head + 1, head) when the log holds nothing."""
    with connection.cursor() as cursor:
        cursor.execute(BOUNDS, {"project": project_id})
        row = cursor.fetchone()
    return (row[0], row[1]) if row else NOTHING_YET
