"""What was known of a profile at a past instant: its events received by then, and its traits as they were.

Identity is that of today: what was merged since counts as one person then, too.
"""

from typing import Any, NamedTuple

import msgspec

from segments.cursors import Rows
from segments.lookups import PlanRow
from segments.rules import Facts, Row, facts_from

CAP = 10_000  # newest events looked at

EVENTS = """
select e.received_at, n.name, e.ts, e.uid, e.props::text, coalesce(e.context, '{}')::text
from ingestion_event e join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
where e.project_id = %(project)s and e.profile_id = %(profile)s and (%(any)s or e.name_id = any(%(names)s))
    and e.received_at > %(since)s and e.received_at <= %(upto)s and e.ts > %(since)s
order by e.ts desc, e.uid desc limit %(cap)s + 1
"""
TRAITS = """
select e.received_at, e.ts, e.uid, e.props::text
from ingestion_event e join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
where e.project_id = %(project)s and e.profile_id = %(profile)s and n.name = 'identify' and e.tracked is null
order by e.ts desc, e.uid desc limit %(cap)s
"""
PRESENT = (
    "select traits::text, trait_ts::text from ingestion_profile where project_id = %(project)s and id = %(profile)s"
)


class History(NamedTuple):
    """All that came of one profile, each with the instant (ms) at which it was received; today: as it is now;
    capped: there were older events besides."""

    today: Facts
    events: list[tuple[int, str, Row]]
    traits: list[tuple[int, dict[str, Any]]]  # as they were written, the oldest first
    capped: bool

    def known(self, at: int) -> Facts:
        """What had been received by the instant `at` (ms)."""
        traits: dict[str, Any] = {}
        for received, written in self.traits:
            traits |= written if received <= at else {}
        known = facts_from(
            [(name, row) for received, name, row in self.events if received <= at],
            profile=self.today.profile,
            identified=self.today.identified,
            traits={key: value for key, value in traits.items() if value is not None},
            retention=self.today.retention,
        )
        # The cap is one for all names: beyond it nobody can say of which of them something is missing.
        return msgspec.structs.replace(known, capped=frozenset(known.events)) if self.capped else known


def read(
    cursor: Rows, project_id: int, profile_id: int, plan: tuple[PlanRow, ...], today: Facts, *, since: int, upto: int
) -> History:
    """What came from `since` (the oldest instant, ms, at which it may be judged) until `upto`, for the names of `plan`;
    `today`: what is known now, for its identity."""
    asked: dict[str, Any] = {
        "project": project_id,
        "profile": profile_id,
        "any": any(row.name == "*" for row in plan),
        "names": [row.name_id for row in plan],
        "since": since - today.retention,
        "upto": upto,
        "cap": CAP,
    }
    cursor.execute(EVENTS, asked)
    events = [
        (received, name, Row(ts, bytes(uid), _json(props), _json(context)))
        for received, name, ts, uid, props, context in cursor
    ]
    return History(today, events[:CAP], _written(cursor, asked), capped=len(events) > CAP)


def _written(cursor: Rows, asked: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Traits do not age as events do: those whose events are no longer kept have been there since they were written."""
    cursor.execute(TRAITS, asked)
    writes = {bytes(uid).hex(): (ts, received, _json(written)) for received, ts, uid, written in cursor.fetchall()}
    cursor.execute(PRESENT, asked)
    for traits, trait_ts in cursor.fetchall():
        values = _json(traits)
        for key, (ts, uid) in _json(trait_ts).items():
            known = writes.setdefault(uid, (ts, ts, {}))
            known[2].setdefault(key, values.get(key))
    in_order = sorted((ts, uid, received, written) for uid, (ts, received, written) in writes.items())
    return [(received, written) for _, _, received, written in in_order]


def _json(text: str) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.json.decode(text)
    return value
