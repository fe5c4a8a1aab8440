"""What the live page shows: events as they are applied, and the enters and leaves that they or time brought about.

Both are read after a position, never more than LIMIT rows of each at once, however much came in between.
"""

import math
from typing import NamedTuple

from django.db import connection

from ingestion import log as applied
from persona.lib.clock import MS_PER_DAY
from segments import log
from segments.log import LogRow
from segments.pages.glimpse import Glimpse, Row, woven

LIMIT = 100  # rows of each kind in one answer
ON_LOAD = 50
APPLIES = 100  # apply transactions read in one answer: the newest
WATCH_SECONDS = 30  # how long the writer goes on logging for us after we last asked
RENEW_MS = 20_000  # less than this left: ask again; not at every poll, for the writer holds the row while it applies

NOW = "(extract(epoch from clock_timestamp()) * 1000)::bigint"
LANE = f"select applied_seq, watched_until, {NOW} from ingestion_writerlane where project_id = %s"  # noqa: S608 - constants

# Properties come from strangers: the first few of them, cut, as one line of text.
_TEXT = """
(select string_agg(left(t.key, 40) || ': ' || left(t.value, 60), ', ') from (
    select key, value from jsonb_each_text(case jsonb_typeof({0}) when 'object' then {0} end) limit 6) t)
"""

# Of all the events in the newest apply transactions after a position, every n-th, so that LIMIT of them are left.
SINCE = f"""
with recent as (
    select seq, events from ingestion_applied
    where project_id = %(project)s and seq > %(seq)s and seq <= %(head)s order by seq desc limit %(applies)s
), numbered as (
    select e.item, count(*) over () as total, row_number() over (order by r.seq desc, e.place desc) - 1 as place
    from recent r cross join lateral jsonb_array_elements(r.events) with ordinality as e(item, place)
)
select item->>'id', (item->>'received_at')::bigint, coalesce(item->>'name', ''), coalesce(item->>'profile', ''),
       coalesce(item->>'external_id', ''), coalesce(left(item->>'detail', 200), {_TEXT.format("item->'props'")}, ''),
       item->>'dialect', item->>'outcome', coalesce(item->>'code', ''),
       coalesce((item->>'clamped')::boolean, false), total
from numbered
where place %% greatest(1, ceil(total / %(limit)s::numeric))::bigint = 0
order by place limit %(limit)s
"""  # noqa: S608 - put together from constants

# The newest events of each name by the index on (project, name, ts), then the newest of those.
NEWEST = f"""
select encode(e.uid, 'hex'), e.received_at, n.name, coalesce(p.public_id, ''),
       coalesce((select min(external_id) from ingestion_alias a
                 where a.project_id = %(project)s and a.profile_id = e.profile_id and a.kind = 'user'), ''),
       coalesce({_TEXT.format("e.props")}, ''), '', 'stored', '', false, 0
from (
    select e.* from ingestion_eventname n cross join lateral (
        select name_id, profile_id, received_at, uid, props from ingestion_event
        where project_id = %(project)s and name_id = n.id and ts > %(since)s and received_at > %(since)s
        order by ts desc limit %(limit)s) e
    where n.project_id = %(project)s order by e.received_at desc limit %(limit)s
) e
join ingestion_eventname n on n.project_id = %(project)s and n.id = e.name_id
left join ingestion_profile p on p.project_id = %(project)s and p.id = e.profile_id
order by e.received_at desc
"""  # noqa: S608 - put together from constants

PEOPLE = """
select profile_id, min(external_id) from ingestion_alias
where project_id = %s and profile_id = any(%s) and kind = 'user' group by profile_id
"""


class Lane(NamedTuple):
    """The head of the log of what was applied, until when it is kept up, and the time now: milliseconds."""

    head: int
    watched_until: int
    now: int


def newest(project_id: int) -> Glimpse:
    """What the page shows when it is opened: the newest events of a day and the newest changes."""
    lane = _watched(project_id)
    head = log.bounds(project_id)[1]
    changes = log.after(project_id, max(0, head - ON_LOAD), None, ON_LOAD)
    events = _events(NEWEST, project=project_id, since=lane.now - MS_PER_DAY, limit=ON_LOAD)[0]
    rows = woven(events, changes, _people(project_id, changes))[:ON_LOAD]
    return Glimpse(rows, lane.head, _last(changes, head), len(events), len(events))


def since(project_id: int, *, after_event: int, after_change: int) -> Glimpse:
    """What came after the two positions. Positions above the heads (a restored database) begin again at the heads."""
    head = log.bounds(project_id)[1]
    # Changes first: then the event behind each of them is already there to be read.
    start = min(after_change, head)
    changes = log.after(project_id, max(start, head - LIMIT), None, LIMIT)
    lane = _watched(project_id)
    after = min(after_event, lane.head)
    events, total = _events(SINCE, project=project_id, seq=after, head=lane.head, applies=APPLIES, limit=LIMIT)
    skipped = max(0, lane.head - after - APPLIES)
    seen = math.ceil(total * (1 + skipped / APPLIES))
    rows = woven(events, changes, _people(project_id, changes))
    return Glimpse(rows, lane.head, _last(changes, start), len(events), seen)


def _watched(project_id: int) -> Lane:
    """The lane, whose writer logs what it applies for a while from now."""
    with connection.cursor() as cursor:
        cursor.execute(LANE, [project_id])
        lane = Lane(*cursor.fetchone())
    if lane.watched_until < lane.now + RENEW_MS:
        applied.watch(project_id, now=lane.now, seconds=WATCH_SECONDS)
    return lane


def _events(sql: str, **params: int) -> tuple[list[Row], int]:
    """The rows of one of the two statements, newest first, and how many events there were in all."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        found = cursor.fetchall()
    columns = ("uid", "at", "name", "profile", "person", "text", "wire", "outcome", "code", "clamped")
    rows = [Row(kind="event", **dict(zip(columns, row[:-1], strict=True))) for row in found]
    return rows, found[0][-1] if found else 0


def _people(project_id: int, changes: list[LogRow]) -> dict[int, str]:
    """By profile, the user id that its sender knows it by."""
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, [project_id, list({change.profile_id for change in changes})])
        return dict(cursor.fetchall())


def _last(changes: list[LogRow], otherwise: int) -> int:
    return changes[-1].seq if changes else otherwise
