"""What people do with personas: create, change, pause, delete. Each deed is one transaction that leaves rows behind;
the workers carry it out, and the change log tells everybody."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from keys.audit import Actor, actor_name, record
from keys.models import SLUG, Project
from persona.lib.problems import Problem, no_such_thing
from segments import publisher, rules
from segments.models import Persona, PersonaVersion

Status = Persona.Status
STARTS = frozenset({Status.LIVE, Status.DRAFT})  # what a caller may create
RESERVED = frozenset({"preview"})  # /personas/preview is no persona
ALLOWED = frozenset({Status.LIVE, Status.DRAFT, Status.PAUSED})  # what a caller may set


def create_persona(
    *, project: Project, slug: str, name: str, rule: Any, actor: Actor, status: str = Status.LIVE
) -> Persona:
    """Save a persona and have all profiles judged.

    Raises Problem: 400 rule.invalid, persona.slug_invalid, persona.status_invalid; 409 persona.slug_taken.
    """
    if slug in RESERVED:
        raise Problem(400, "persona.slug_invalid", f"slug {slug!r} is an address of the API. Choose another.")
    if not SLUG.regex.fullmatch(slug):  # type: ignore[union-attr]  # RegexValidator compiles its pattern
        raise Problem(400, "persona.slug_invalid", f"slug {slug[:70]!r}: {SLUG.message}")
    if status not in STARTS:
        raise Problem(400, "persona.status_invalid", "A persona is created as live or draft.")
    checked(project, rule)
    try:
        with transaction.atomic():
            persona = Persona.objects.create(
                project=project, slug=slug, name=name or slug, rule=rule, status=Status.DRAFT
            )
            _keep_version(persona, actor)
            if status == Status.LIVE:
                _start(persona)
            _audit(persona, actor, "persona.created")
    except IntegrityError:
        raise Problem(409, "persona.slug_taken", f"The project already has a persona {slug!r}.") from None
    return persona


def update_persona(*, persona: Persona, changes: Mapping[str, Any], actor: Actor) -> Persona:
    """Change name, rule or status. A new rule is a new version; every profile is judged by it.

    Raises Problem 400 rule.invalid, persona.status_invalid, persona.field_unknown.
    """
    unknown = set(changes) - {"name", "rule", "status"}
    if unknown:
        raise Problem(
            400, "persona.field_unknown", f"{', '.join(sorted(unknown))}: only name, rule and status can change."
        )
    with transaction.atomic():
        persona = _locked(persona)
        persona.name = changes.get("name", persona.name)
        if "rule" in changes and changes["rule"] != persona.rule:
            checked(persona.project, changes["rule"])
            persona.rule = changes["rule"]
            persona.version += 1
            _keep_version(persona, actor)
            if persona.status in (Status.LIVE, Status.BACKFILLING):
                _start(persona)
        if "status" in changes:
            _set_status(persona, changes["status"])
        persona.save()
        _audit(persona, actor, "persona.changed", fields=sorted(changes))
    return persona


def delete_persona(*, persona: Persona, actor: Actor) -> None:
    """All members leave; the slug is free at once. The row stays, hidden, for the log's sake."""
    with transaction.atomic():
        persona = _locked(persona)
        persona.deleted_at = timezone.now()
        persona.status = Status.DRAFT
        persona.save()
        _judge_all(persona)
        _audit(persona, actor, "persona.deleted")


def checked(project: Project, rule: Any) -> rules.Rule:
    """The rule, parsed under the project's limits. Raises Problem 400 rule.invalid, which names the node."""
    try:
        return rules.parse(rule, retention=project.retention)
    except rules.RuleError as error:
        raise Problem(400, "rule.invalid", str(error), extra={"path": error.path}) from None


def _locked(persona: Persona) -> Persona:
    """The row as it is now, held until the end of the transaction. Whoever deleted it meanwhile has won."""
    found = Persona.objects.select_for_update().filter(pk=persona.pk, deleted_at=None).first()
    if found is None:
        raise no_such_thing()
    return found


def _set_status(persona: Persona, status: str) -> None:
    if status not in ALLOWED:
        raise Problem(400, "persona.status_invalid", f"status {str(status)[:20]!r}: use live, draft or paused.")
    if status == persona.status or (status == Status.LIVE and persona.status == Status.BACKFILLING):
        return
    if status == Status.LIVE:
        _start(persona)
    elif status == Status.DRAFT:
        persona.status = Status.DRAFT
        _judge_all(persona)
    else:
        persona.status = Status.PAUSED
        _forget_jobs(persona)
        _redefined(persona)


def _start(persona: Persona) -> None:
    persona.status = Status.BACKFILLING
    persona.save()
    _judge_all(persona)


def _judge_all(persona: Persona) -> None:
    """Queue the backfill: one job a shard, from its first profile on.

    The jobs before the head, as in a page of the backfill, which holds its job when it numbers its log rows.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into segments_backfilljob (project_id, persona_id, shard, version)"
            " select %s, %s, generate_series(0, %s - 1), %s"
            " on conflict (project_id, persona_id, shard) do update"
            " set version = excluded.version, cursor = 0, done = false",
            [persona.project_id, persona.pk, persona.project.shards, persona.version],
        )
    _redefined(persona)
    transaction.on_commit(partial(publisher.wake, publisher.BACKFILL))


def _redefined(persona: Persona) -> None:
    """Every evaluator reads the definitions anew before its next turn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update segments_head set rules_version = rules_version + 1 where project_id = %s", [persona.project_id]
        )


def _forget_jobs(persona: Persona) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from segments_backfilljob where project_id = %s and persona_id = %s",
            [persona.project_id, persona.pk],
        )


def _keep_version(persona: Persona, actor: Actor) -> None:
    PersonaVersion.objects.create(persona=persona, version=persona.version, rule=persona.rule, author=actor_name(actor))


def _audit(persona: Persona, actor: Actor, action: str, **detail: object) -> None:
    record(
        project=persona.project,
        actor=actor,
        action=action,
        target=persona.slug,
        detail={"version": persona.version, **detail},
    )
