"""Record: memberships and the change log, together, in the evaluator's transaction. Nobody else writes either.

The log's numbers are taken last, under the head's row lock, so they are gap-free and in commit order; the lock is
held for the commit alone.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec
from django.db import transaction

from persona.lib import tracing
from persona.lib.clock import MS_PER_HOUR
from segments import bell, figures, signals
from segments.cursors import Rows, raw_cursor
from segments.judge import Flip, Verdict

MEMBERSHIPS = """
insert into segments_membership
    (project_id, profile_id, persona_id, shard, is_member, since, revision, recheck_at)
select %s, * from unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::boolean[], %s::bigint[], %s::integer[],
    %s::bigint[])
on conflict (project_id, profile_id, persona_id) do update set is_member = excluded.is_member,
    since = excluded.since, revision = excluded.revision, recheck_at = excluded.recheck_at
"""
LOG = f"""
with head as (
    update segments_head set last_seq = last_seq + %(n)s where project_id = %(project)s returning last_seq
), logged as (
    insert into segments_change
        (project_id, seq, profile_id, persona_id, op, at, cause, version, trigger, late_ms, silent)
    select %(project)s, head.last_seq - %(n)s + row.o, row.profile, row.persona, row.op, row.at, row.cause, row.version,
        decode(row.trigger, 'hex'), row.late, row.silent
    from head, unnest(%(profiles)s::bigint[], %(personas)s::bigint[], %(ops)s::text[], %(ats)s::bigint[],
        %(causes)s::text[], %(versions)s::integer[], %(triggers)s::text[], %(lates)s::bigint[],
        %(silents)s::boolean[]) with ordinality
        as row(profile, persona, op, at, cause, version, trigger, late, silent, o)
), tallied as (
    insert into segments_personahour as h (project_id, persona_id, hour, enters, leaves)
    select %(project)s, t.persona, t.hour, t.enters, t.leaves
    from head, unnest(%(tallied)s::bigint[], %(hours)s::bigint[], %(enters)s::bigint[], %(leaves)s::bigint[])
        as t(persona, hour, enters, leaves)
    on conflict (project_id, persona_id, hour) do update set enters = h.enters + excluded.enters,
        leaves = h.leaves + excluded.leaves
)
select last_seq, {bell.RUNG} from head
"""  # noqa: S608 - the column is a constant


class Decided(msgspec.Struct, frozen=True, gc=False):
    """The verdict on one profile and persona, ready to be stored: the revision with the membership, the version in the
    log."""

    profile: int
    persona: int
    shard: int
    version: int
    revision: int
    verdict: Verdict
    silent: bool = False


def record(cursor: Rows, project_id: int, decided: Iterable[Decided]) -> int:
    """Store what moved; the number of log rows. The caller holds the lanes and commits at once."""
    # In the order of the key: neighbors of the index are on the same page.
    written = sorted((one for one in decided if one.verdict.write), key=lambda one: (one.profile, one.persona))
    if not written:
        return 0
    rows = [(flip, one) for one in written for flip in one.verdict.flips]
    rows.sort(key=lambda row: row[0].at)  # stable: the flips of a pair stay in their order
    with raw_cursor() as numbering:
        with cursor.together():  # one round trip for both
            cursor.execute(MEMBERSHIPS, _memberships(project_id, written))
            if rows:
                numbering.execute(LOG, _log_rows(project_id, rows))
        if rows:
            _ring(project_id, numbering.fetchone())
            _tell(project_id, rows)
    return len(rows)


def _memberships(project_id: int, written: list[Decided]) -> tuple[int | str, ...]:
    return (
        project_id,
        _array(one.profile for one in written),
        _array(one.persona for one in written),
        _array(one.shard for one in written),
        _array(one.verdict.is_member for one in written),
        _array(one.verdict.since for one in written),
        _array(one.revision for one in written),
        _array(one.verdict.recheck_at for one in written),
    )


def _log_rows(project_id: int, rows: list[tuple[Flip, Decided]]) -> dict[str, int | str]:
    return {
        "project": project_id,
        "ring": bell.in_database(),
        "n": len(rows),
        "profiles": _array(one.profile for _, one in rows),
        "personas": _array(one.persona for _, one in rows),
        "ops": _array("enter" if flip.enters else "leave" for flip, _ in rows),
        "ats": _array(flip.at for flip, _ in rows),
        "causes": _array(flip.cause for flip, _ in rows),
        "versions": _array(one.version for _, one in rows),
        "triggers": _array(None if flip.trigger is None else flip.trigger.hex() for flip, _ in rows),
        "lates": _array(flip.late_ms for flip, _ in rows),
        "silents": _array(one.silent for _, one in rows),
        **_tallies(rows),
    }


def _ring(project_id: int, head: tuple[Any, ...] | None) -> None:
    if head is None:
        raise LookupError(f"project {project_id} has no head row: its log cannot be numbered")
    if not bell.in_database():
        bell.ring(project_id, head[0])


def _tell(project_id: int, rows: list[tuple[Flip, Decided]]) -> None:
    if tracing.on():
        _trace(project_id, rows)
    enters = sum(flip.enters for flip, _ in rows)
    transaction.on_commit(partial(_count, enters, len(rows) - enters), robust=True)
    transaction.on_commit(partial(signals.logged.send_robust, None, project_id=project_id), robust=True)


def _trace(project_id: int, rows: list[tuple[Flip, Decided]]) -> None:
    for flip, one in rows:
        if flip.trigger is not None:
            began = tracing.now()
            op = "enter" if flip.enters else "leave"
            tracing.tell([flip.trigger], "change.record", began=began, project=project_id, persona=one.persona, op=op)


def _count(enters: int, leaves: int) -> None:
    figures.CHANGES.labels("enter").inc(enters)
    figures.CHANGES.labels("leave").inc(leaves)


def _tallies(rows: list[tuple[Flip, Decided]]) -> dict[str, str]:
    """By persona, how many enter and leave, in the hour of each and (hour 0) in all: increments, so that it does not
    matter who else counts at the same time."""
    counted: dict[tuple[int, int], list[int]] = {}
    for flip, one in rows:
        for hour in (0, flip.at - flip.at % MS_PER_HOUR):
            counted.setdefault((one.persona, hour), [0, 0])[0 if flip.enters else 1] += 1
    return {
        "tallied": _array(persona for persona, _ in counted),
        "hours": _array(hour for _, hour in counted),
        "enters": _array(enters for enters, _ in counted.values()),
        "leaves": _array(leaves for _, leaves in counted.values()),
    }


def _array(plain: Iterable[int | bool | str | None]) -> str:
    """PostgreSQL's text of an array; psycopg takes much longer to find out what it may hold. No word here needs quotes:
    they are our own, and hexadecimal."""
    return f"{{{','.join(map(str, plain)).replace('None', 'null')}}}"
