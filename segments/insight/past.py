"""What was known of a profile at a past instant: its events received by then, and its traits as they were.

Identity is that of today: what was merged since counts as one person then, too.
"""

from typing import Any

import msgspec

from segments.cursors import Rows
from segments.lookups import PlanRow
from segments.rules import Facts, Row, facts_from

CAP = 10_000  # newest events looked at

EVENTS = """
select n.name, e.ts, e.uid, e.props::text, coalesce(e.context, '{}')::text
from ingestion_event e join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
where e.project_id = %(project)s and e.profile_id = %(profile)s and (%(any)s or e.name_id = any(%(names)s))
    and e.received_at > %(since)s and e.received_at <= %(at)s and e.ts > %(since)s
order by e.ts desc, e.uid desc limit %(cap)s
"""
TRAITS = """
select e.props::text
from ingestion_event e join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
where e.project_id = %(project)s and e.profile_id = %(profile)s and n.name = 'identify'
    and e.received_at > %(since)s and e.received_at <= %(at)s and e.ts <= %(at)s
order by e.ts, e.uid
"""


def as_known(
    cursor: Rows, project_id: int, profile_id: int, plan: tuple[PlanRow, ...], today: Facts, *, at: int
) -> Facts:
    """The facts at the instant `at` (ms), for the names of `plan`; `today`: what is known now, for its identity."""
    every = any(row.name == "*" for row in plan)
    asked: dict[str, Any] = {
        "project": project_id,
        "profile": profile_id,
        "any": every,
        "names": [row.name_id for row in plan],
        "since": at - today.retention,
        "at": at,
        "cap": CAP,
    }
    cursor.execute(EVENTS, asked)
    events = [(name, Row(ts, bytes(uid), _json(props), _json(context))) for name, ts, uid, props, context in cursor]
    cursor.execute(TRAITS, asked)
    traits: dict[str, Any] = {}
    for (written,) in cursor.fetchall():
        traits |= _json(written)
    return facts_from(
        events,
        profile=today.profile,
        identified=today.identified,
        traits={key: value for key, value in traits.items() if value is not None},
        retention=today.retention,
    )


def _json(text: str) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.json.decode(text)
    return value
