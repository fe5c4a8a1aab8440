"""Backfill: judge every profile of a shard by the present definition of one persona, page after page.

Each page is a transaction of its own under the shard's lock, between which live work goes on. A persona that is no
longer evaluated (draft, deleted) is left by all its members in the same way.
"""

from functools import partial
from typing import Any

import msgspec
from django.db import connection, transaction
from psycopg import Cursor

from persona.lib.log import get_logger
from segments import changes, definitions, evaluator, facts
from segments.changes import Decided
from segments.definitions import Definition, Definitions
from segments.facts import Wanted
from segments.judge import DEFINITION, judge
from segments.models import Persona

PAGE = 200  # profiles: some 10 to 50 ms under the shard's lock

# The row lock keeps two workers off one job; SKIP LOCKED lets them share a persona's shards.
TAKE = """
select project_id, persona_id, shard, version, silent, cursor from segments_backfilljob
where not done and project_id = %s order by persona_id, shard limit 1 for update skip locked
"""
PROFILES = """
select id from ingestion_profile where project_id = %s and shard = %s and id > %s and merged_into is null
order by id limit %s
"""
MEMBERS = """
select profile_id from segments_membership
where project_id = %s and persona_id = %s and shard = %s and profile_id > %s and (is_member or recheck_at is not null)
order by profile_id limit %s
"""
ADVANCE = """
update segments_backfilljob set cursor = %s, done = %s
where project_id = %s and persona_id = %s and shard = %s
"""
# Whoever ends a job may be killed before it has said so of the persona.
UNSAID = """
select p.project_id, p.id, p.version from segments_persona p where p.status = 'backfilling' and not exists (
    select from segments_backfilljob j where j.project_id = p.project_id and j.persona_id = p.id and not j.done)
"""
WAITS = """
select exists (select from segments_backfilljob where not done)
    or exists (select from segments_persona where status = 'backfilling')
"""

log = get_logger(__name__)


class Job(msgspec.Struct, frozen=True):
    """A shard of a persona that is being judged; `cursor` is the last profile done."""

    project_id: int
    persona_id: int
    shard: int
    version: int
    silent: bool
    cursor: int


def backfill_some() -> int:
    """One page of one job; the profiles seen, and at least 1 while anything is left. 0: nothing to do."""
    with connection.cursor() as found:
        found.execute("select distinct project_id from segments_backfilljob where not done")
        projects = [project_id for (project_id,) in found.fetchall()]
    for project_id in projects:
        with transaction.atomic(), evaluator.raw_cursor() as cursor:
            cursor.execute(TAKE, (project_id,))
            row = cursor.fetchone()
            if row is None:
                continue
            job = Job(*row)
            seen = _page(cursor, job)
        if seen < PAGE:
            _finish(job.project_id, job.persona_id, job.version)
        return seen + 1
    _finish_unsaid()
    return 0


def waits() -> bool:
    """Whether backfill_some would find something."""
    with connection.cursor() as cursor:
        cursor.execute(WAITS)
        return bool((cursor.fetchone() or (False,))[0])


def _page(cursor: Cursor[tuple[Any, ...]], job: Job) -> int:
    # The lane before the definitions: whoever saved them before we hold it is seen, whoever saves later comes again.
    cursor.execute(
        "select from segments_lane where project_id = %s and shard = %s for update", (job.project_id, job.shard)
    )
    defined = definitions.of_project(cursor, job.project_id)
    definition = defined.personas.get(job.persona_id)
    sql = MEMBERS if definition is None else PROFILES
    of = (job.project_id, job.persona_id, job.shard) if definition is None else (job.project_id, job.shard)
    cursor.execute(sql, (*of, job.cursor, PAGE))
    profiles = [profile for (profile,) in cursor.fetchall()]
    if definition is None:
        _leave_all(cursor, job, defined, profiles)
    else:
        _judge_page(cursor, job, defined, definition, profiles)
    last, done = max(profiles, default=job.cursor), len(profiles) < PAGE
    cursor.execute(ADVANCE, (last, done, job.project_id, job.persona_id, job.shard))
    return len(profiles)


def _judge_page(
    cursor: Cursor[tuple[Any, ...]], job: Job, defined: Definitions, definition: Definition, profiles: list[int]
) -> None:
    if not profiles:
        return
    now = evaluator.clock(cursor)
    plan = defined.plan(frozenset({job.persona_id}))
    current = evaluator.stored(cursor, job.project_id, profiles)
    due = {
        profile: one.recheck_at
        for (profile, persona), one in current.items()
        if persona == job.persona_id and one.recheck_at is not None and one.recheck_at < now
    }
    wanted = {profile: Wanted(plan, due.get(profile, now)) for profile in profiles}
    known = facts.gather(cursor, job.project_id, wanted, retention=defined.retention, now=now)
    decided = [
        Decided(
            profile,
            job.persona_id,
            job.shard,
            definition.version,
            judge(
                partial(definition.compiled.value, known[profile]),
                now=now,
                version=definition.version,
                current=current.get((profile, job.persona_id)),
            ),
            job.silent,
        )
        for profile in profiles
        if profile in known
    ]
    changes.record(cursor, job.project_id, decided)


def _leave_all(cursor: Cursor[tuple[Any, ...]], job: Job, defined: Definitions, profiles: list[int]) -> None:
    if not profiles:
        return
    now = evaluator.clock(cursor)
    current = evaluator.stored(cursor, job.project_id, profiles)
    decided = [
        evaluator.leave(job.project_id, defined.shards, pair, one, cause=DEFINITION, now=now)
        for pair, one in current.items()
        if pair[1] == job.persona_id
    ]
    changes.record(cursor, job.project_id, decided)


def _finish_unsaid() -> None:
    with connection.cursor() as cursor:
        cursor.execute(UNSAID)
        found = cursor.fetchall()
    for project_id, persona_id, version in found:
        _finish(project_id, persona_id, version)


def _finish(project_id: int, persona_id: int, version: int) -> None:
    """The last shard makes the persona live. After the page's commit: who saves a persona locks it before its jobs."""
    with transaction.atomic(), connection.cursor() as cursor:
        persona = Persona.objects.select_for_update().filter(pk=persona_id, project_id=project_id).first()
        cursor.execute(
            "select exists (select from segments_backfilljob where project_id = %s and persona_id = %s and not done)",
            [project_id, persona_id],
        )
        (left,) = cursor.fetchone() or (False,)
        if persona is None or left:
            return
        if persona.status == Persona.Status.BACKFILLING:
            Persona.objects.filter(pk=persona.pk).update(status=Persona.Status.LIVE)
    log.info("persona.backfilled", project=project_id, persona=persona_id, version=version)
