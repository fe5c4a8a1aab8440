"""What people do with personas: create, change, pause, delete. Each deed is one transaction that leaves rows behind;
the workers carry it out, and the change log tells everybody.

Locks are taken in one order: project, persona, jobs, head. The project's makes two saves that refer to each other wait.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from keys.audit import Actor, actor_name, record
from keys.models import SLUG, Project
from persona.lib.problems import Problem, no_such_thing
from segments import backfill, definitions, rejudging, rules
from segments.models import BackfillJob, Persona, PersonaVersion

Status = Persona.Status
STARTS = frozenset({Status.LIVE, Status.DRAFT})  # what a caller may create
ALLOWED = frozenset({Status.LIVE, Status.DRAFT, Status.PAUSED})  # what a caller may set
CHANGEABLE = frozenset({"name", "rule", "status", "silent"})
LEAVING = 5.0  # seconds that a create waits for the members of a deleted predecessor to leave
RESERVED = frozenset({"preview", "import"})  # addresses of the API, no personas


def create_persona(
    *, project: Project, slug: str, name: str, rule: Any, actor: Actor, status: str = Status.LIVE, silent: bool = False
) -> Persona:
    """Save a persona and have all profiles judged.

    silent: those who enter because of this are logged, but streams and deliveries do not tell.
    Raises Problem: 400 rule.invalid, persona.slug_invalid, persona.status_invalid; 409 persona.slug_taken,
    persona.slug_leaving.
    """
    if slug in RESERVED:
        raise Problem(400, "persona.slug_invalid", f"slug {slug!r} is an address of the API. Choose another.")
    if not SLUG.regex.fullmatch(slug):  # type: ignore[union-attr]  # RegexValidator compiles its pattern
        raise Problem(400, "persona.slug_invalid", f"slug {slug[:70]!r}: {SLUG.message}")
    if status not in STARTS:
        raise Problem(400, "persona.status_invalid", "A persona is created as live or draft.")
    let_leave(project, slug)
    try:
        with transaction.atomic():
            _lock(project)
            checked(project, rule, slug=slug)
            starts = status == Status.LIVE
            persona = Persona.objects.create(
                project=project,
                slug=slug,
                name=name or slug,
                rule=rule,
                status=Status.BACKFILLING if starts else Status.DRAFT,
            )
            _keep_version(persona, actor)
            if starts:
                rejudging.judge_all([persona], silent=silent)
            _audit(persona, actor, "persona.created")
    except IntegrityError:
        raise Problem(409, "persona.slug_taken", f"The project already has a persona {slug!r}.") from None
    return persona


def update_persona(*, persona: Persona, changes: Mapping[str, Any], actor: Actor) -> Persona:
    """Change name, rule or status. A new rule is a new version; everybody is judged by it, and by all personas that
    refer to it. With `silent` true, who moves because of this is logged but not told.

    Raises Problem: 400 rule.invalid, persona.status_invalid, persona.field_unknown; 409 persona.in_use;
    404 not_found when it has been deleted meanwhile.
    """
    unknown = set(changes) - CHANGEABLE
    if unknown:
        words = ", ".join(sorted(unknown))
        raise Problem(400, "persona.field_unknown", f"{words}: only {', '.join(sorted(CHANGEABLE))} can be given.")
    with transaction.atomic():
        _lock(persona.project)
        persona = _locked(persona)
        persona.name = changes.get("name", persona.name)
        redefined = "rule" in changes and changes["rule"] != persona.rule
        if redefined:
            checked(persona.project, changes["rule"], slug=persona.slug)
            persona.rule = changes["rule"]
            persona.version += 1
            _keep_version(persona, actor)
        moves = _set_status(persona, changes.get("status"))
        if redefined and persona.status in definitions.EVALUATED:
            persona.status, moves = Status.BACKFILLING, True
        persona.save()
        _carry_out(persona, moves=moves, redefined=redefined, silent=bool(changes.get("silent")))
        _audit(persona, actor, "persona.changed", fields=sorted(changes))
    return persona


def delete_persona(*, persona: Persona, actor: Actor) -> None:
    """All members leave; the slug is free at once. The row stays, hidden, for the log's sake.

    Raises Problem 409 persona.in_use.
    """
    with transaction.atomic():
        _lock(persona.project)
        persona = _locked(persona)
        _check_unused(persona)
        persona.deleted_at = timezone.now()
        persona.status = Status.DRAFT
        persona.save()
        rejudging.judge_all([persona])
        _audit(persona, actor, "persona.deleted")


def let_leave(project: Project, slug: str) -> None:
    """The members of a deleted persona leave before another of its slug lets anybody in: whoever follows the changes
    by slug would see them the wrong way round. Raises Problem 409 persona.slug_leaving when that takes too long."""
    deadline = time.monotonic() + LEAVING
    while _is_leaving(project, slug):
        if time.monotonic() > deadline:
            detail = f"The members of the deleted persona {slug!r} are still leaving. Try again in a moment."
            raise Problem(409, "persona.slug_leaving", detail, retry_after=2)
        if not backfill.backfill_some():
            time.sleep(0.01)  # a worker has the page: it ends soon


def _is_leaving(project: Project, slug: str) -> bool:
    gone = Persona.objects.filter(project=project, slug=slug).exclude(deleted_at=None).values_list("id", flat=True)
    return BackfillJob.objects.filter(project=project, persona_id__in=list(gone), done=False).exists()


def checked(project: Project, rule: Any, *, slug: str | None = None) -> rules.Rule:
    """The rule, parsed under the project's limits. Raises Problem 400 rule.invalid, which names the node."""
    known = definitions.documents_of(project.pk)
    try:
        return rules.parse(rule, retention=project.retention, resolve=known.get, slug=slug)
    except rules.RuleError as error:
        raise Problem(400, "rule.invalid", str(error), extra={"path": error.path}) from None


def dependants(persona: Persona) -> list[Persona]:
    """The personas into which this one's rule is inlined, directly or through others.

    Found in the stored documents as they are, so that one that can no longer be read is in nobody's way.
    """
    others = list(Persona.objects.filter(project_id=persona.project_id, deleted_at=None).exclude(pk=persona.pk))
    found: dict[str, Persona] = {}
    reached = {persona.slug}
    while new := [one for one in others if one.slug not in found and reached & _referred(one.rule)]:
        found |= {one.slug: one for one in new}
        reached |= found.keys()
    return list(found.values())


def _referred(document: Any) -> set[str]:
    """The slugs that a rule names in its `member` nodes."""
    if isinstance(document, list):
        return set().union(*map(_referred, document))
    if not isinstance(document, dict):
        return set()
    named = (
        {document["persona"]} if document.get("op") == "member" and isinstance(document.get("persona"), str) else set()
    )
    return named.union(*map(_referred, document.values()))


def _check_dependants(persona: Persona, others: Iterable[Persona]) -> None:
    """Their rules must still stand with this one's new rule inside. Raises Problem 400 rule.invalid.

    Of drafts nobody is a member: they are told when they are to go live."""
    known = {**definitions.documents_of(persona.project_id), persona.slug: persona.rule}
    for other in others:
        try:
            rules.parse(other.rule, resolve=known.get, slug=other.slug)
        except rules.RuleError as error:
            detail = f"This would break the persona {other.slug}, which refers to it: {error}"
            raise Problem(400, "rule.invalid", detail, extra={"path": error.path}) from None


def _check_stands(persona: Persona) -> None:
    """A rule that was saved long ago may name a persona whose rule has grown since. Raises Problem 400 rule.invalid."""
    known = {**definitions.documents_of(persona.project_id), persona.slug: persona.rule}
    try:
        rules.parse(persona.rule, resolve=known.get, slug=persona.slug)
    except rules.RuleError as error:
        detail = f"The rule of {persona.slug} does not stand any more: {error}"
        raise Problem(400, "rule.invalid", detail, extra={"path": error.path}) from None


def _lock(project: Project) -> None:
    Project.objects.select_for_update().get(pk=project.pk)


def _locked(persona: Persona) -> Persona:
    """The row as it is now, held until the end of the transaction. Whoever deleted it meanwhile has won."""
    found = Persona.objects.select_for_update().filter(pk=persona.pk, deleted_at=None).first()
    if found is None:
        raise no_such_thing()
    return found


def _check_unused(persona: Persona) -> None:
    using = [other.slug for other in dependants(persona)]
    if using:
        detail = f"{', '.join(using)} refer to {persona.slug}. Change them first."
        raise Problem(409, "persona.in_use", detail, extra={"dependants": using})


def _set_status(persona: Persona, status: str | None) -> bool:
    """Whether everybody has to be judged because of the new status."""
    if status is None or status == persona.status or (status, persona.status) == (Status.LIVE, Status.BACKFILLING):
        return False
    if status not in ALLOWED:
        raise Problem(400, "persona.status_invalid", f"status {str(status)[:20]!r}: use live, draft or paused.")
    if status == Status.DRAFT:
        _check_unused(persona)
    if status == Status.LIVE:
        _check_stands(persona)
    persona.status = Status.BACKFILLING if status == Status.LIVE else status
    return status != Status.PAUSED


def _carry_out(persona: Persona, *, moves: bool, redefined: bool, silent: bool) -> None:
    """Queue what follows from a change, for the persona and for those that refer to it."""
    judged = [persona] if moves else []
    if redefined:
        named = dependants(persona)
        _check_dependants(
            persona, [other for other in named if other.status in (*definitions.EVALUATED, Status.PAUSED)]
        )
        others = [other for other in named if other.status in definitions.EVALUATED]
        Persona.objects.filter(pk__in=[other.pk for other in others]).update(status=Status.BACKFILLING)
        judged += others
    if persona.status == Status.PAUSED:
        rejudging.forget_jobs(persona)
    rejudging.judge_all(judged, silent=silent)
    if not judged:
        rejudging.redefined(persona.project_id)


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
