"""Have everybody judged anew by personas whose rules have come to mean something else: rows that backfill works off."""

from collections.abc import Iterable
from functools import partial

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from keys.models import Project
from persona.lib.log import get_logger
from segments import definitions, publisher, warnings
from segments.models import Head, Persona
from segments.rules import RuleError

JOBS = """
insert into segments_backfilljob (project_id, persona_id, shard, version, silent)
select %s, %s, generate_series(0, %s - 1), %s, %s
on conflict (project_id, persona_id, shard) do update
set version = excluded.version, silent = excluded.silent, cursor = 0, done = false
"""

log = get_logger(__name__)


def judge_all(personas: Iterable[Persona], *, silent: bool = False) -> None:
    """Queue the backfills: one job a shard, from its first profile on. Within the transaction of what caused it."""
    queued = list(personas)
    # What was judged before is no judgment of this one: whoever moves now moves because of the definition.
    anew = Persona.objects.filter(pk__in=[persona.pk for persona in queued])
    anew.update(revision=F("revision") + 1, redefined_at=Now())
    for project_id in {persona.project_id for persona in queued}:
        warnings.forget(project_id, [persona.pk for persona in queued])
    for persona in queued:
        with connection.cursor() as cursor:
            jobs = [persona.project_id, persona.pk, persona.project.shards, persona.version, silent]
            cursor.execute(JOBS, jobs)
    for project_id in {persona.project_id for persona in queued}:
        redefined(project_id)
        transaction.on_commit(partial(publisher.wake, publisher.BACKFILL))


def redefined(project_id: int) -> None:
    """Every evaluator reads the definitions anew before its next turn. Last: whoever records waits for this row."""
    with connection.cursor() as cursor:
        cursor.execute("update segments_head set rules_version = rules_version + 1 where project_id = %s", [project_id])


def forget_jobs(persona: Persona) -> None:
    """Nobody is judged by it any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from segments_backfilljob where project_id = %s and persona_id = %s",
            [persona.project_id, persona.pk],
        )


def follow_retention(project: Project) -> int:
    """Judge everybody anew where the project's retention is another than the one that was judged by; the personas.

    No window means the retention, and it ends every longer window. Whoever saves a project calls this, and upkeep:
    the installation's default can be changed too.
    """
    with transaction.atomic():
        kept = Project.objects.select_for_update().get(pk=project.pk).retention
        before = Head.objects.filter(project=project).values_list("retention", flat=True).first()
        if before == kept:
            return 0
        moved = [persona for persona in _evaluated(project) if _depends(persona, before, kept)]
        Persona.objects.filter(pk__in=[persona.pk for persona in moved]).update(status=Persona.Status.BACKFILLING)
        judge_all(moved)
        Head.objects.filter(project=project).update(retention=kept)
        if not moved:
            redefined(project.pk)
    log.info("retention.changed", project=project.pk, retention=kept, before=before, personas=len(moved))
    return len(moved)


def judge_again(project: Project, *, silent: bool) -> list[Persona]:
    """Have everybody judged anew by every persona of the project that is evaluated, as after an import; the personas.

    silent: who moves because of this is logged but not told.
    """
    with transaction.atomic():
        personas = _evaluated(project)
        Persona.objects.filter(pk__in=[persona.pk for persona in personas]).update(status=Persona.Status.BACKFILLING)
        judge_all(personas, silent=silent)
    return personas


def _evaluated(project: Project) -> list[Persona]:
    personas = Persona.objects.select_for_update(of=("self",)).select_related("project")
    return list(personas.filter(project=project, deleted_at=None, status__in=definitions.EVALUATED).order_by("id"))


def _depends(persona: Persona, before: int | None, kept: int) -> bool:
    """Whether it looks at events as old as the shorter of the two."""
    try:
        needs = definitions.define(persona).compiled.needs
    except RuleError:  # it can no longer be read: the evaluator says so of it
        return False
    return any(need.since is None or before is None or need.since > min(before, kept) for need in needs)
