"""Making projects and keys, and ending keys. Every deed is audited; a key's end takes effect here at once.

All raise Problem: 400 for values that cannot be, 409 for deeds that the key's state does not allow.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from keys import tokens
from keys.audit import Actor, record
from keys.auth import ring
from keys.checked import checked_expiry, checked_origins, checked_scopes
from keys.models import ApiKey, Member, Project
from persona.lib.problems import Problem

MAX_GRACE = timedelta(days=90)


@transaction.atomic
def create_project(*, slug: str, name: str, mode: str, owner: User, actor: Actor) -> Project:
    """A project with its first owner. 400 project.invalid: a slug or name that cannot be or is taken."""
    project = Project(slug=slug, name=name, mode=mode)
    _checked_whole(project, "project.invalid")
    project.save()
    Member.objects.create(project=project, user=owner, role=Member.Role.OWNER)
    record(
        project=project,
        actor=actor,
        action="project.created",
        target=slug,
        detail={"mode": mode, "owner": owner.get_username()},
    )
    return project


@transaction.atomic
def rename_project(*, project: Project, name: str, actor: Actor) -> None:
    """Another name for people to read; the slug stays. The same name changes nothing."""
    before = Project.objects.values_list("name", flat=True).select_for_update().get(pk=project.pk)
    if name == before:
        return
    Project.objects.filter(pk=project.pk).update(name=name)
    detail: dict[str, object] = {"name": name}
    record(project=project, actor=actor, action="project.renamed", target=project.slug, detail=detail)


@transaction.atomic
def issue_key(
    *,
    project: Project,
    kind: str,
    name: str,
    actor: Actor,
    origins: Iterable[str] = (),
    scopes: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which exists nowhere else and never again. 400 key.invalid."""
    key = ApiKey(
        project=project,
        kind=kind,
        name=name.strip(),
        origins=checked_origins(kind, origins),
        scopes=checked_scopes(kind, scopes),
        expires_at=checked_expiry(expires_at),
    )
    secret = _save_new(key, actor)
    record(
        project=project,
        actor=actor,
        action="key.issued",
        target=key.lookup,
        detail={"kind": kind, "name": key.name},
    )
    return key, secret


@transaction.atomic
def rotate_key(*, key: ApiKey, grace: timedelta, actor: Actor) -> tuple[ApiKey, str]:
    """A successor with the same rights; the old key works on for `grace` (0 to 90 days), then no more.

    A key with an expiry hands on its whole lifetime, counted from now. 409: revoked, expired or already rotated.
    """
    if not timedelta(0) <= grace <= MAX_GRACE:
        raise Problem(400, "key.invalid", "The grace period must lie between 0 and 90 days.")
    now = timezone.now()
    old = _locked(key)
    _require_active(old, now)
    new = ApiKey(
        project=old.project,
        kind=old.kind,
        name=old.name,
        origins=old.origins,
        scopes=old.scopes,
        expires_at=old.expires_at and now + (old.expires_at - old.created_at),
    )
    secret = _save_new(new, actor)
    end = now + grace
    old.replaced_by = new
    old.expires_at = end if old.expires_at is None else min(end, old.expires_at)
    old.revoked_at = None if grace else now
    old.save(update_fields=["replaced_by", "expires_at", "revoked_at"])
    record(
        project=old.project,
        actor=actor,
        action="key.rotated",
        target=old.lookup,
        detail={"successor": new.lookup, "grace_seconds": int(grace.total_seconds())},
    )
    _forget(old)
    return new, secret


@transaction.atomic
def revoke_key(*, key: ApiKey, actor: Actor) -> None:
    """The key ends now. Doing it again changes nothing."""
    locked = _locked(key)
    if locked.revoked_at is not None:
        return
    locked.revoked_at = timezone.now()
    locked.save(update_fields=["revoked_at"])
    record(project=locked.project, actor=actor, action="key.revoked", target=locked.lookup)
    _forget(locked)


@transaction.atomic
def change_key(
    *,
    key: ApiKey,
    name: str,
    origins: Iterable[str],
    scopes: Iterable[str],
    actor: Actor,
) -> ApiKey:
    """Another name or other limits for a key that stays the same. 400 key.invalid."""
    locked = _locked(key)
    locked.name = name.strip()
    locked.origins = checked_origins(locked.kind, origins)
    locked.scopes = checked_scopes(locked.kind, scopes)
    _checked_whole(locked)
    locked.save(update_fields=["name", "origins", "scopes"])
    record(
        project=locked.project,
        actor=actor,
        action="key.changed",
        target=locked.lookup,
        detail={"name": locked.name, "origins": locked.origins, "scopes": locked.scopes},
    )
    _forget(locked)
    return locked


def _save_new(key: ApiKey, actor: Actor) -> str:
    _checked_whole(key)
    secret = tokens.make(key.kind, key.project.mode)
    key.lookup, key.digest = secret[: tokens.LOOKUP_LENGTH], tokens.digest(secret)
    key.created_by = actor if isinstance(actor, User) else None
    key.save(force_insert=True)
    return secret


def _checked_whole(row: Project | ApiKey, code: str = "key.invalid") -> None:
    try:
        row.full_clean(exclude=["project", "lookup", "digest", "created_by", "replaced_by"])
    except ValidationError as error:
        words = "; ".join(f"{field}: {' '.join(said)}" for field, said in error.message_dict.items())
        raise Problem(400, code, words) from None


def _locked(key: ApiKey) -> ApiKey:
    return (
        ApiKey.objects.select_for_update(of=("self",)).select_related("project").get(pk=key.pk, project=key.project_id)
    )


def _require_active(key: ApiKey, now: datetime) -> None:
    if key.revoked_at is not None:
        raise Problem(409, "key.revoked", f"{key.lookup} was revoked; make a new key instead.")
    if key.replaced_by_id is not None:
        raise Problem(409, "key.rotated", f"{key.lookup} was already rotated; rotate its successor instead.")
    if key.expires_at is not None and key.expires_at <= now:
        raise Problem(409, "key.expired", f"{key.lookup} has expired; make a new key instead.")


def _forget(key: ApiKey) -> None:
    """Now, for whoever reads through this transaction; after the commit, for who read the old row meanwhile."""
    ring.forget(key.pk)
    transaction.on_commit(partial(ring.forget, key.pk))
