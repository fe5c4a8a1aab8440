"""Backfill: judge every profile of a shard by the present definition of a persona, page after page.

Personas that wait at the same place share their pages: the facts are read once for all of them. Each page is a
transaction of its own under the shard's lock, between which live work goes on. A persona that is no longer evaluated
(draft, deleted) is left by all its members in the same way.
"""

from functools import partial

import msgspec
from django.db import connection, transaction

from persona.lib.log import get_logger
from segments import changes, cursors, definitions, evaluator, facts, memberships, warnings
from segments.changes import Decided
from segments.cursors import Rows
from segments.definitions import Definition, Definitions
from segments.facts import Wanted
from segments.judge import DEFINITION, Current, judge
from segments.models import Persona
from segments.rules import Facts
from segments.warnings import Noticed

# Some 10 to 50 ms under the shard's lock: up to 500 profiles of one persona, 25 of 40 personas.
PAGE = 500
PAIRS = 1_000
TOGETHER = 40
LOOK = 5  # profiles of a page, or a tenth of them, of which it is asked what is odd about them

# The row lock keeps two workers off one job; SKIP LOCKED lets them share a persona's shards.
TAKE = """
select project_id, persona_id, shard, version, silent, cursor from segments_backfilljob
where not done and project_id = %s order by persona_id, shard limit 1 for update skip locked
"""
ALONG = """
select project_id, persona_id, shard, version, silent, cursor from segments_backfilljob
where not done and project_id = %s and persona_id <> %s and shard = %s and cursor = %s
order by persona_id limit %s for update skip locked
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
where project_id = %s and persona_id = any(%s) and shard = %s
"""
LEFT = "select exists (select from segments_backfilljob where project_id = %s and persona_id = %s and not done)"
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


class Seen(msgspec.Struct, frozen=True):
    """What a page was: the jobs that went on, the profiles, whether they were the last; the personas that failed, and
    what was odd about some of the profiles at `now`."""

    jobs: list[Job]
    profiles: list[int]
    done: bool
    now: int = 0
    failed: set[int] = msgspec.field(default_factory=set)
    noticed: list[Noticed] = msgspec.field(default_factory=list)


def backfill_some() -> int:
    """One page; the profiles seen, and at least 1 while anything is left. 0: nothing to do."""
    with connection.cursor() as found:
        found.execute("select distinct project_id from segments_backfilljob where not done")
        projects = [project_id for (project_id,) in found.fetchall()]
    for project_id in projects:
        with transaction.atomic(), cursors.raw_cursor() as cursor:
            cursor.execute(TAKE, (project_id,))
            row = cursor.fetchone()
            if row is None:
                continue
            seen = _page(cursor, Job(*row))
        definitions.set_aside(project_id, seen.failed)
        warnings.store(project_id, seen.noticed, seen.now)
        if seen.done:
            for job in seen.jobs:
                _finish(job.project_id, job.persona_id, job.version)
        return len(seen.profiles) + 1
    _finish_unsaid()
    return 0


def waits() -> bool:
    """Whether backfill_some would find something."""
    with connection.cursor() as cursor:
        cursor.execute(WAITS)
        return bool((cursor.fetchone() or (False,))[0])


def _page(cursor: Rows, job: Job) -> Seen:
    # The lane before the definitions: whoever saved them before we hold it is seen, whoever saves later comes again.
    cursor.execute(
        "select from segments_lane where project_id = %s and shard = %s for update", (job.project_id, job.shard)
    )
    defined = definitions.of_project(cursor, job.project_id)
    if job.persona_id in defined.personas:
        seen = _judge_page(cursor, defined, [job, *_along(cursor, defined, job)])
    elif Persona.objects.filter(pk=job.persona_id, project_id=job.project_id, status=Persona.Status.ERROR).exists():
        seen = Seen([job], [], done=True)  # its members stay as they are until somebody saves it again
    else:
        seen = _leave_page(cursor, defined, job)
    last = max(seen.profiles, default=job.cursor)
    cursor.execute(ADVANCE, (last, seen.done, job.project_id, [one.persona_id for one in seen.jobs], job.shard))
    return seen


def _along(cursor: Rows, defined: Definitions, job: Job) -> list[Job]:
    """Other jobs that wait at the same place."""
    cursor.execute(ALONG, (job.project_id, job.persona_id, job.shard, job.cursor, TOGETHER - 1))
    return [other for row in cursor.fetchall() if (other := Job(*row)).persona_id in defined.personas]


def _judge_page(cursor: Rows, defined: Definitions, jobs: list[Job]) -> Seen:
    project_id, shard = jobs[0].project_id, jobs[0].shard
    most = min(PAGE, PAIRS // len(jobs))
    cursor.execute(PROFILES, (project_id, shard, jobs[0].cursor, most))
    profiles = [profile for (profile,) in cursor.fetchall()]
    seen = Seen(jobs, profiles, len(profiles) < most, cursors.clock(cursor))
    if profiles:
        changes.record(cursor, project_id, _judged(cursor, defined, seen))
    return seen


def _judged(cursor: Rows, defined: Definitions, seen: Seen) -> list[Decided]:
    """The verdicts; who cannot be judged is left where they are, and the persona is noted as failed."""
    jobs, profiles, now = seen.jobs, seen.profiles, seen.now
    project_id, personas = jobs[0].project_id, frozenset(job.persona_id for job in jobs)
    plan = defined.plan(personas)
    current = memberships.stored(cursor, project_id, profiles, personas)
    due: dict[int, int] = {}
    for (profile, _), one in current.items():
        if one.recheck_at is not None and one.recheck_at < due.get(profile, now):
            due[profile] = one.recheck_at
    wanted = {profile: Wanted(plan, due.get(profile, now)) for profile in profiles}
    known = facts.gather(cursor, project_id, wanted, retention=defined.retention, now=now)
    decided = []
    looked_at = set(profiles[: max(LOOK, len(profiles) // 10)])
    for profile, fact in known.items():
        for job in jobs:
            definition, pair = defined.personas[job.persona_id], (profile, job.persona_id)
            try:
                decided.append(_decided(definition, job, fact, current.get(pair), profile, now))
                if profile in looked_at:
                    seen.noticed.extend(warnings.notice(definition, profile, fact, now))
            except Exception:  # whatever a rule does on some data: the other personas of the page go on
                log.exception("pair.not_judged", project=project_id, persona=job.persona_id, profile=profile)
                seen.failed.add(job.persona_id)
    return decided


def _decided(
    definition: Definition, job: Job, known: Facts, current: Current | None, profile: int, now: int
) -> Decided:
    verdict = judge(partial(definition.compiled.value, known), now=now, revision=definition.revision, current=current)
    version, revision = definition.version, definition.revision
    return Decided(profile, job.persona_id, job.shard, version, revision, verdict, job.silent)


def _leave_page(cursor: Rows, defined: Definitions, job: Job) -> Seen:
    cursor.execute(MEMBERS, (job.project_id, job.persona_id, job.shard, job.cursor, PAGE))
    profiles = [profile for (profile,) in cursor.fetchall()]
    if profiles:
        now = cursors.clock(cursor)
        current = memberships.stored(cursor, job.project_id, profiles, [job.persona_id])
        decided = [
            evaluator.leave(job.project_id, defined, pair, one, cause=DEFINITION, now=now)
            for pair, one in current.items()
        ]
        changes.record(cursor, job.project_id, decided)
    return Seen([job], profiles, len(profiles) < PAGE)


def _finish_unsaid() -> None:
    with connection.cursor() as cursor:
        cursor.execute(UNSAID)
        found = cursor.fetchall()
    for project_id, persona_id, version in found:
        _finish(project_id, persona_id, version)


def _finish(project_id: int, persona_id: int, version: int) -> None:
    """The last shard makes the persona live. After the page's commit: who saves a persona locks it before its jobs."""
    if _jobs_left(project_id, persona_id):  # nearly always: only the end is looked at under the lock
        return
    with transaction.atomic():
        persona = Persona.objects.select_for_update().filter(pk=persona_id, project_id=project_id).first()
        if persona is None or _jobs_left(project_id, persona_id):
            return
        if persona.status == Persona.Status.BACKFILLING:
            Persona.objects.filter(pk=persona.pk).update(status=Persona.Status.LIVE)
    log.info("persona.backfilled", project=project_id, persona=persona_id, version=version)


def _jobs_left(project_id: int, persona_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(LEFT, [project_id, persona_id])
        return bool((cursor.fetchone() or (False,))[0])
