"""The demo project: a shop with keys, an administrator and a few personas, so that the first look shows something.

What is there and still works is left alone; what is missing or refused is made anew, and said.
"""

import secrets

import msgspec
from django.contrib.auth.models import User

from keys.auth import ring
from keys.models import ApiKey, Project
from keys.services import create_project, issue_key, revoke_key
from keys.tokens import Kind
from persona.demo.personas import PERSONAS
from persona.lib.problems import Problem
from persona.running.home import Access
from segments.models import Persona
from segments.services import create_persona

SLUG = "demo"
ADMINISTRATOR = "admin"
ACTOR = "manage.py up"
KEY_NAMES: dict[Kind, str] = {"pk": "Publishable key made by up", "sk": "Secret key made by up"}


class Seeded(msgspec.Struct, frozen=True):
    """How to get in, and what the person at the terminal should know."""

    access: Access
    notes: tuple[str, ...]


def seed(earlier: Access | None, *, with_personas: bool) -> Seeded:
    """Make or complete the demo project. `earlier` is the access of the last run, if its file is still there."""
    notes: list[str] = []
    admin, password = _administrator(earlier, notes)
    project = _project(admin)
    access = Access(
        project=SLUG,
        publishable_key=_key(project, "pk", earlier.publishable_key if earlier else None, notes),
        secret_key=_key(project, "sk", earlier.secret_key if earlier else None, notes),
        admin_user=ADMINISTRATOR,
        admin_password=password,
    )
    if with_personas:
        _personas(project)
    return Seeded(access, tuple(notes))


def _administrator(earlier: Access | None, notes: list[str]) -> tuple[User, str]:
    known = User.objects.filter(username=ADMINISTRATOR).first()
    if known is None:
        password = secrets.token_urlsafe(12)
        return User.objects.create_superuser(ADMINISTRATOR, "", password), password
    if earlier and known.check_password(earlier.admin_password):
        return known, earlier.admin_password
    password = secrets.token_urlsafe(12)
    known.set_password(password)
    known.save(update_fields=["password"])
    notes.append(f"the password of {ADMINISTRATOR} was not known any more; it has a new one")
    return known, password


def _project(owner: User) -> Project:
    known = Project.objects.filter(slug=SLUG).first()
    return known or create_project(slug=SLUG, name="Demo shop", mode="live", owner=owner, actor=ACTOR)


def _key(project: Project, kind: Kind, earlier: str | None, notes: list[str]) -> str:
    if earlier and _accepted(project, kind, earlier):
        return earlier
    old = ApiKey.objects.filter(project=project, kind=kind, name=KEY_NAMES[kind], revoked_at=None)
    for key in old:
        revoke_key(key=key, actor=ACTOR)
        notes.append(f"the {kind}_ key {key.lookup}… was not known any more; it is revoked, there is a new one")
    return issue_key(project=project, kind=kind, name=KEY_NAMES[kind], actor=ACTOR)[1]


def _accepted(project: Project, kind: Kind, key: str) -> bool:
    try:
        principal = ring.resolve(key)
    except Problem as problem:
        if problem.status == 401:
            return False
        raise
    return principal.project_id == project.pk and principal.kind == kind


def _personas(project: Project) -> None:
    """Those that the project has never had: one that was deleted stays deleted."""
    known = set(Persona.objects.filter(project=project).values_list("slug", flat=True))
    for slug, (name, rule) in PERSONAS.items():
        if slug not in known:
            create_persona(project=project, slug=slug, name=name, rule={"v": 1, "rule": rule}, actor=ACTOR)
