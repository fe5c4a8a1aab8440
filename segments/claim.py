"""Claim: what is waiting in a project's lanes, taken under their locks. A rollback puts everything back."""

from collections.abc import Iterable

import msgspec
from django.conf import settings

from ingestion.applying import lanes, stale
from ingestion.applying.cursors import BY_INDEX
from ingestion.applying.stale import Mark
from segments.cursors import Rows, raw_cursor
from segments.memberships import Pair

MARK_ROWS = 256  # stale rows a turn: about as many apply transactions
MARK_BYTES = 16_384  # of marks a turn, some 180 profiles: a turn is short, and other workers find lanes that are free
FEW_BYTES = 800  # some ten profiles: these go together, whoever else is there
TIMERS = 2_000  # due timers a turn
TIMERS_BESIDE = 250  # while profiles wait for what happened to them: a crowd that leaves at once must not hold them up

CANDIDATES = """
select project_id, exists (select from segments_persona p where p.project_id = waiting.project_id) from (
    select distinct project_id from ingestion_staleprofiles
    union
    select l.project_id from segments_lane l where exists (
        select from segments_membership m where m.project_id = l.project_id and m.shard = l.shard
            and m.recheck_at <= floor(extract(epoch from statement_timestamp()) * 1000)::bigint)
) waiting order by project_id <= %s, project_id
"""
HAS_PERSONAS = "select exists (select from segments_persona where project_id = %(project)s)"
# Asked again where the marks are taken: a persona that this statement does not see comes after the events of all marks
# that it sees, and its backfill reads them.
FORGET = """
delete from ingestion_staleprofiles
where project_id = %(project)s and not exists (select from segments_persona p where p.project_id = %(project)s)
"""
# The lanes that have waited longest: all, if few profiles wait; else one worker's part, and no more than a turn takes.
# A worker that held all would leave the others to apply, in many small turns, what nobody could judge meanwhile.
LOCK = f"""
select l.shard, waiting.is_marked, {BY_INDEX} from segments_lane l cross join lateral (
    select marked.at is not null as is_marked, least(marked.at, due.at) as since from
        (select (select s.at from ingestion_staleprofiles s where s.project_id = l.project_id and s.shard = l.shard
            order by s.id limit 1) as at) marked,
        (select (select m.recheck_at from segments_membership m where m.project_id = l.project_id and m.shard = l.shard
            and m.recheck_at <= floor(extract(epoch from statement_timestamp()) * 1000)::bigint
            order by m.recheck_at limit 1) as at) due) waiting
where l.project_id = %(project)s and waiting.since is not null
order by waiting.since, l.shard
limit (select case when sum(length(items)) > %(few)s then least(
                   (select ceil(count(*)::float8 / %(workers)s) from segments_lane where project_id = %(project)s),
                   case when sum(length(items)) > %(bytes)s
                        then ceil(count(distinct shard) * %(bytes)s::float8 / sum(length(items))) end) end
       from (select shard, items from ingestion_staleprofiles where project_id = %(project)s limit %(most)s) s)::bigint
for update of l skip locked
"""  # noqa: S608 - the column is a constant
CLAIM = """
delete from ingestion_staleprofiles where project_id = %(project)s and (shard, id) in (
    select shard, id from (
        select shard, id, sum(size) over (order by id) - size as before
        from (select shard, id, length(items) as size from ingestion_staleprofiles
              where project_id = %(project)s and shard = any(%(shards)s) order by id limit %(most)s) oldest) counted
    where before < %(bytes)s)
returning items
"""
# The clock after the claim, so that no event of it is later; the rules and the newest event name of that moment; and
# what is due. A limit for each shard lets the index give them in order; asked for all at once, all due are sorted.
DUE = """
select clock.now, h.rules_version, (select max(n.id) from ingestion_eventname n where n.project_id = %(project)s),
    due.* from (select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now) clock
left join segments_head h on h.project_id = %(project)s
left join lateral (
    select of_shard.* from unnest(%(shards)s::smallint[]) s(shard) cross join lateral (
        select m.profile_id, m.persona_id, m.recheck_at from segments_membership m
        where m.project_id = %(project)s and m.shard = s.shard and m.recheck_at <= clock.now
        order by m.recheck_at limit %(most)s) of_shard
    order by of_shard.recheck_at limit %(most)s) due on true
"""


class Work(msgspec.Struct):
    """What one turn has claimed: marks by profile, due instants by pair; the clock, the version of the rules and the id
    of the newest event name after that."""

    project_id: int
    shards: list[int]
    marks: dict[int, Mark]
    due: dict[Pair, int]
    now: int
    rules_version: int
    newest_name: int
    failed: set[int] = msgspec.field(default_factory=set)  # personas whose rule could not be judged


def marks_wait() -> bool:
    """Whether any profile waits to be judged for something that happened to it."""
    with raw_cursor() as cursor:
        cursor.execute("select exists (select from ingestion_staleprofiles)")
        return bool((cursor.fetchone() or (False,))[0])


def candidates(last_project: int) -> list[tuple[int, bool]]:
    """Projects with anything to judge, and whether they have personas; they take turns, from the one after
    `last_project` on."""
    with raw_cursor() as cursor:
        cursor.execute(CANDIDATES, (last_project,))
        return [(project_id, has_personas) for project_id, has_personas in cursor.fetchall()]


def forget(project_id: int) -> int:
    """Drop the marks of a project that has no persona to judge, and have it leave no more; how many rows of them."""
    lanes.leave_unjudged(project_id, lambda: not _has_personas(project_id))
    with raw_cursor() as cursor:
        cursor.execute(FORGET, {"project": project_id})
        return cursor.rowcount


def _has_personas(project_id: int) -> bool:
    with raw_cursor() as cursor:
        cursor.execute(HAS_PERSONAS, {"project": project_id})
        return bool((cursor.fetchone() or (True,))[0])


def claim(project_id: int) -> Work | None:
    """The marks and due timers of the lanes that nobody else holds. Call it inside atomic()."""
    with raw_cursor() as cursor, raw_cursor() as other:
        shards, is_marked = _lanes(cursor, project_id)
        if not shards:
            return None
        given = {"project": project_id, "shards": shards}
        most = min(TIMERS, TIMERS_BESIDE) if is_marked else TIMERS
        with cursor.together():  # one round trip for both
            cursor.execute(CLAIM, {**given, "most": MARK_ROWS, "bytes": MARK_BYTES})
            other.execute(DUE, {**given, "most": most})
        marks = united(mark for (items,) in cursor.fetchall() for mark in stale.decode(items))
        timers = other.fetchall()
        now, version, name = timers[0][:3]
        due = {(profile, persona): at for *_, profile, persona, at in timers if profile is not None}
    return Work(project_id, shards, marks, due, now, version or 0, name or 0) if marks or due else None


def _lanes(cursor: Rows, project_id: int) -> tuple[list[int], bool]:
    """The lanes that are ours for this turn, and whether anything lies in them but timers."""
    given = {"few": FEW_BYTES, "workers": settings.PERSONA_WORKERS, "most": MARK_ROWS, "bytes": MARK_BYTES}
    with cursor.together():  # with the BEGIN before it
        cursor.execute(LOCK, {**given, "project": project_id})
    lanes = cursor.fetchall()
    return [shard for shard, *_ in lanes], any(is_marked for _, is_marked, _ in lanes)


def united(marks: Iterable[Mark]) -> dict[int, Mark]:
    """One mark per profile: what happened is united, the trigger is the event received last. Quiet if all are."""
    by_profile: dict[int, Mark] = {}
    for mark in marks:
        other = by_profile.get(mark.profile)
        if other is not None:
            newest = max(mark, other, key=lambda m: (m.received_at, m.ts, m.uid))
            loud = stale.QUIET & ~(mark.what & other.what)
            mark = msgspec.structs.replace(
                newest, what=(mark.what | other.what) & ~loud, names=tuple(sorted({*mark.names, *other.names}))
            )
        by_profile[mark.profile] = mark
    return by_profile
