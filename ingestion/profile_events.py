"""The stored events of one profile, the latest first."""

from typing import Any

import msgspec
from django.db import connection

# The profile's events by the index of live facts; two of the same instant are told apart by their ids.
BEFORE = """
select encode(e.uid, 'hex'), n.name, e.ts, e.received_at, e.props::text, e.context::text
from ingestion_event e
left join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
where e.project_id = %(project)s and e.profile_id = %(profile)s
  and (%(ts)s::bigint is null or (e.ts, e.uid) < (%(ts)s::bigint, decode(%(uid)s, 'hex')))
order by e.ts desc, e.uid desc limit %(limit)s
"""


class Happened(msgspec.Struct, frozen=True):
    """One event. uid: hex; ts, received_at: ms."""

    uid: str
    name: str
    ts: int
    received_at: int
    props: dict[str, Any]
    context: dict[str, Any] | None


def before(project_id: int, profile_id: int, place: tuple[int, str] | None, limit: int) -> list[Happened]:
    """At most `limit` of those that come before `place` (ts and uid of an event), or the latest of all."""
    ts, uid = place or (None, "")
    asked = {"project": project_id, "profile": profile_id, "ts": ts, "uid": uid, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(BEFORE, asked)
        return [
            Happened(uid, name or "", ts, received_at, _decoded(props) or {}, _decoded(context))
            for uid, name, ts, received_at, props, context in cursor.fetchall()
        ]


def _decoded(text: str | None) -> dict[str, Any] | None:
    return None if text is None else msgspec.json.decode(text)
