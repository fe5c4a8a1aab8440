"""The events that an explanation counts, looked up by their uids."""

from collections.abc import Sequence

import msgspec
from django.db import connection

from segments.insight.timeline import brief

MOST = 100

EVENTS = """
select n.name, e.ts, e.props::text from ingestion_event e
join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
where e.project_id = %(project)s and e.profile_id = %(profile)s
    and e.uid in (select decode(hex, 'hex') from unnest(%(uids)s::text[]) as given(hex))
order by e.ts desc limit %(most)s
"""


class Counted(msgspec.Struct, frozen=True):
    """One event; at: ms."""

    name: str
    at: int
    text: str


def events(project_id: int, profile_id: int, uids: Sequence[str]) -> list[Counted]:
    """Newest first, at most MOST."""
    if not uids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, {"project": project_id, "profile": profile_id, "uids": list(uids[:1_000]), "most": MOST})
        return [Counted(name, ts, brief(msgspec.json.decode(props))) for name, ts, props in cursor.fetchall()]
