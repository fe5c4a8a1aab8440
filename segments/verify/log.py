"""What replaying the change log says, held against what is stored; and rows that belong to nobody.

Each statement but the last is about a range of profiles, and sees one state of the database.
"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings

from persona.lib.clock import MS_PER_DAY
from segments.cursors import Rows
from segments.verify.report import Difference

# What replay of the log leaves: the last op of each pair. A member from before the oldest kept row needs no row: what
# was pruned is older than that row, or at least than what is kept at all.
UNEXPLAINED = """
with last as (
    select distinct on (profile_id, persona_id) profile_id, persona_id, op, seq from segments_change
    where project_id = %(project)s and profile_id > %(after)s and profile_id <= %(upto)s
    order by profile_id, persona_id, seq desc
), oldest as (select (select at from segments_change where project_id = %(project)s order by seq limit 1) as at)
select format('profile %%s is %%s of persona %%s; the last word of the log is %%s (%%s)',
    coalesce(m.profile_id, l.profile_id), case when m.is_member then 'a member' else 'no member' end,
    coalesce(m.persona_id, l.persona_id), coalesce(l.op, 'nothing'), l.seq)
from (select * from segments_membership
      where project_id = %(project)s and profile_id > %(after)s and profile_id <= %(upto)s) m
full join last l on l.profile_id = m.profile_id and l.persona_id = m.persona_id
cross join oldest
where coalesce(m.is_member, false) <> (coalesce(l.op, 'leave') = 'enter')
    and not (l.op is null and m.is_member and m.since <= greatest(coalesce(oldest.at, m.since), %(kept)s))
limit 1000
"""
# A row that repeats the op before it, goes back in time, or leaves what was never entered.
BROKEN = """
select format('change %%s: %%s after %%s, at %%s after %%s', seq, op, coalesce(before, 'nothing'), at, at_before)
from (
    select seq, op, at, lag(op) over pair as before, lag(at) over pair as at_before
    from segments_change where project_id = %(project)s and profile_id > %(after)s and profile_id <= %(upto)s
    window pair as (partition by profile_id, persona_id order by seq)
) rows
where op = before or at < at_before or (before is null and op = 'leave' and exists (
    select from segments_change where project_id = %(project)s and seq = 1))
order by seq limit 1000
"""
# Since when somebody is in, or is out again, is what the log says last.
SINCE = """
select format('profile %%s is %%s of persona %%s since %%s; the last word of the log is of %%s (%%s)', m.profile_id,
    case when m.is_member then 'a member' else 'no member' end, m.persona_id, m.since, l.at, l.seq)
from segments_membership m cross join lateral (
    select c.at, c.op, c.seq from segments_change c
    where c.project_id = %(project)s and c.profile_id = m.profile_id and c.persona_id = m.persona_id
    order by c.seq desc limit 1) l
where m.project_id = %(project)s and m.profile_id > %(after)s and m.profile_id <= %(upto)s
    and m.is_member = (l.op = 'enter') and m.since <> l.at
limit 1000
"""
# What an event brought about took effect when that event was received, or at once after what came before it.
UNTIMELY = """
select format('change %%s: at %%s, but its event was received at %%s', c.seq, c.at, e.received_at)
from (
    select seq, profile_id, at, trigger, late_ms, lag(at) over pair as before
    from segments_change where project_id = %(project)s and profile_id > %(after)s and profile_id <= %(upto)s
    window pair as (partition by profile_id, persona_id order by seq)
) c join ingestion_event e on e.project_id = %(project)s and e.profile_id = c.profile_id and e.uid = c.trigger
    and e.profile_id > %(after)s and e.profile_id <= %(upto)s and e.received_at > %(kept)s - 86400000
where c.late_ms is not null and c.at <> e.received_at and c.at is distinct from c.before
    and (c.before is not null or exists (select from segments_change where project_id = %(project)s and seq = 1))
order by c.seq limit 1000
"""
# The version of a row is one that its persona had then, and never an older one than that of the row before.
VERSIONS = """
select format('change %%s: by version %%s of persona %%s, which %%s', c.seq, c.version, c.persona_id,
    case when v.version is null then 'it never had' when c.version < c.before then 'had given way to ' || c.before
         when c.at < v.since then 'came at ' || v.since else 'ended at ' || n.since end)
from (
    select seq, profile_id, persona_id, version, at, cause, lag(version) over pair as before
    from segments_change where project_id = %(project)s and profile_id > %(after)s and profile_id <= %(upto)s
    window pair as (partition by profile_id, persona_id order by seq)
) c left join lateral (
    select version, floor(extract(epoch from at) * 1000)::bigint as since from segments_personaversion
    where persona_id = c.persona_id and version = c.version) v on true
left join lateral (
    select floor(extract(epoch from at) * 1000)::bigint as since from segments_personaversion
    where persona_id = c.persona_id and version = c.version + 1) n on true
where v.version is null or c.version < c.before or c.at > n.since + %(margin)s
    or (c.cause in ('time', 'definition') and c.at < v.since - %(margin)s)
order by c.seq limit 1000
"""
# A timer is looked for in the shard of its profile.
MISPLACED = """
select format('profile %%s, persona %%s: in shard %%s, where nobody looks for it', m.profile_id, m.persona_id, m.shard)
from segments_membership m join ingestion_profile p on p.project_id = %(project)s and p.id = m.profile_id
where m.project_id = %(project)s and m.profile_id > %(after)s and m.profile_id <= %(upto)s and m.shard <> p.shard
limit 1000
"""
ORPHANS = """
select format('profile %%s has rows of %%s, but is not there', profile_id, name) from (
    select profile_id, 'segments_membership' as name from segments_membership
    where project_id = %(project)s and profile_id > %(after)s and profile_id <= %(upto)s
    union
    select profile_id, 'ingestion_alias' from ingestion_alias
    where project_id = %(project)s and profile_id > %(after)s and profile_id <= %(upto)s
    union
    select profile_id, 'ingestion_event' from ingestion_event
    where project_id = %(project)s and profile_id > %(after)s and profile_id <= %(upto)s
) owned
where not exists (select from ingestion_profile p where p.project_id = %(project)s and p.id = owned.profile_id)
limit 1000
"""
# Members of what is no longer evaluated, once the backfill that lets them leave is through; members merged away.
LEFT_BEHIND = """
select format('profile %%s is still a member of persona %%s, which is a draft or deleted', m.profile_id, m.persona_id)
from segments_membership m
where m.project_id = %(project)s and m.profile_id > %(after)s and m.profile_id <= %(upto)s and m.is_member
    and not exists (
        select from segments_persona p where p.project_id = %(project)s and p.id = m.persona_id
            and p.deleted_at is null and p.status <> 'draft')
    and not exists (
        select from segments_backfilljob j
        where j.project_id = %(project)s and j.persona_id = m.persona_id and not j.done)
union all
select format('profile %%s was merged away and is still a member of persona %%s', m.profile_id, m.persona_id)
from segments_membership m join ingestion_profile p on p.project_id = %(project)s and p.id = m.profile_id
where m.project_id = %(project)s and m.profile_id > %(after)s and m.profile_id <= %(upto)s and m.is_member
    and p.merged_into is not null and not p.id = any(%(marked)s)
limit 1000
"""
OF_RANGE = (
    ("log", UNEXPLAINED),
    ("log", BROKEN),
    ("log", SINCE),
    ("log", UNTIMELY),
    ("log", VERSIONS),
    ("timer", MISPLACED),
    ("orphan", ORPHANS),
    ("orphan", LEFT_BEHIND),
)
MARGIN = 10_000  # ms in which a turn that had begun may still have judged by the version before
# Numbers without a gap, up to the head.
NUMBERS = """
select format('%%s changes, numbered %%s to %%s; the head stands at %%s', n, oldest, newest, last_seq) from (
    select count(*) as n, min(seq) as oldest, max(seq) as newest from segments_change where project_id = %(project)s
) log, segments_head h
where h.project_id = %(project)s and (n <> newest - oldest + 1 or newest <> last_seq)
"""


def of_range(
    cursor: Rows, project_id: int, *, after: int, upto: int, marked: set[int], now: int
) -> Iterator[Difference]:
    """Of the profiles with ids above `after`, up to `upto`. marked: those to which something has just happened."""
    kept = now - settings.PERSONA_CHANGE_RETENTION_DAYS * MS_PER_DAY
    asked = {
        "project": project_id,
        "after": after,
        "upto": upto,
        "marked": sorted(marked),
        "kept": kept,
        "margin": MARGIN,
    }
    for kind, statement in OF_RANGE:
        yield from _found(cursor, kind, statement, asked)


def numbers(cursor: Rows, project_id: int) -> Iterator[Difference]:
    """Of the log as a whole."""
    yield from _found(cursor, "log", NUMBERS, {"project": project_id})


def _found(cursor: Rows, kind: str, statement: str, asked: dict[str, Any]) -> Iterator[Difference]:
    cursor.execute(statement, asked)
    for (what,) in cursor.fetchall():
        yield Difference(kind, what)
