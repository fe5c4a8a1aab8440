"""Claim: what is waiting in a project's lanes, taken under their locks. A rollback puts everything back."""

from collections.abc import Iterable

import msgspec

from ingestion import stale
from ingestion.stale import Mark
from segments.cursors import clock, raw_cursor
from segments.memberships import Pair

MARK_ROWS = 256  # stale rows a turn: about as many apply transactions
MARK_BYTES = 16_384  # of marks a turn, some 180 profiles: a turn is short, and other workers find lanes that are free
TIMERS = 2_000  # due timers a turn
TIMERS_BESIDE = 250  # while profiles wait for what happened to them: a crowd that leaves at once must not hold them up

CANDIDATES = """
select project_id from (
    select distinct project_id from ingestion_staleprofiles
    union
    select l.project_id from segments_lane l where exists (
        select from segments_membership m where m.project_id = l.project_id and m.shard = l.shard
            and m.recheck_at <= floor(extract(epoch from statement_timestamp()) * 1000)::bigint)
) waiting order by project_id <= %s, project_id
"""
# The lanes that have waited longest; all of them, unless there is more in them than a turn takes.
LOCK = """
select l.shard from segments_lane l cross join lateral (
    select least(
        (select s.at from ingestion_staleprofiles s where s.project_id = l.project_id and s.shard = l.shard
            order by s.id limit 1),
        (select m.recheck_at from segments_membership m where m.project_id = l.project_id and m.shard = l.shard
            and m.recheck_at <= floor(extract(epoch from statement_timestamp()) * 1000)::bigint
            order by m.recheck_at limit 1)) as since) waiting
where l.project_id = %(project)s and waiting.since is not null
order by waiting.since, l.shard
limit (select case when sum(length(items)) > %(bytes)s
                   then ceil(count(distinct shard) * %(bytes)s::float8 / sum(length(items))) end
       from (select shard, items from ingestion_staleprofiles where project_id = %(project)s limit %(most)s) s)::bigint
for update of l skip locked
"""
CLAIM = """
delete from ingestion_staleprofiles where project_id = %(project)s and (shard, id) in (
    select shard, id from (
        select shard, id, sum(size) over (order by id) - size as before
        from (select shard, id, length(items) as size from ingestion_staleprofiles
              where project_id = %(project)s and shard = any(%(shards)s) order by id limit %(most)s) oldest) counted
    where before < %(bytes)s)
returning items
"""
# A limit for each shard lets the index give them in order; asked for all shards at once, all that are due are sorted.
DUE = """
select due.* from unnest(%(shards)s::smallint[]) s(shard) cross join lateral (
    select m.profile_id, m.persona_id, m.recheck_at from segments_membership m
    where m.project_id = %(project)s and m.shard = s.shard and m.recheck_at <= %(now)s
    order by m.recheck_at limit %(most)s) due
order by due.recheck_at limit %(most)s
"""


class Work(msgspec.Struct):
    """What one turn has claimed: marks by profile, due instants by pair, and the clock after the claim."""

    project_id: int
    shards: list[int]
    marks: dict[int, Mark]
    due: dict[Pair, int]
    now: int
    failed: set[int] = msgspec.field(default_factory=set)  # personas whose rule could not be judged


def marks_wait() -> bool:
    """Whether any profile waits to be judged for something that happened to it."""
    with raw_cursor() as cursor:
        cursor.execute("select exists (select from ingestion_staleprofiles)")
        return bool((cursor.fetchone() or (False,))[0])


def candidates(last_project: int) -> list[int]:
    """Projects with anything to judge; they take turns, from the one after `last_project` on."""
    with raw_cursor() as cursor:
        cursor.execute(CANDIDATES, (last_project,))
        return [project_id for (project_id,) in cursor.fetchall()]


def claim(project_id: int) -> Work | None:
    """The marks and due timers of the lanes that nobody else holds. Call it inside atomic()."""
    with raw_cursor() as cursor:
        given = {"project": project_id, "most": MARK_ROWS, "bytes": MARK_BYTES}
        cursor.execute(LOCK, given)
        shards = [shard for (shard,) in cursor.fetchall()]
        if not shards:
            return None
        cursor.execute(CLAIM, {**given, "shards": shards})
        marks = united(mark for (items,) in cursor.fetchall() for mark in stale.decode(items))
        now = clock(cursor)
        most = min(TIMERS, TIMERS_BESIDE) if marks else TIMERS
        cursor.execute(DUE, {"project": project_id, "shards": shards, "now": now, "most": most})
        due = {(profile, persona): recheck for profile, persona, recheck in cursor.fetchall()}
    return Work(project_id, shards, marks, due, now) if marks or due else None


def united(marks: Iterable[Mark]) -> dict[int, Mark]:
    """One mark per profile: what happened is united, the trigger is the event received last."""
    by_profile: dict[int, Mark] = {}
    for mark in marks:
        other = by_profile.get(mark.profile)
        if other is not None:
            newest = max(mark, other, key=lambda m: (m.received_at, m.ts, m.uid))
            mark = msgspec.structs.replace(
                newest, what=mark.what | other.what, names=tuple(sorted({*mark.names, *other.names}))
            )
        by_profile[mark.profile] = mark
    return by_profile
