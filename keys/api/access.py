"""Who may call the management API: a secret key of the project, or a signed-in person with a role in it.

A view says what it needs: `scopes = {"GET": "personas:read", "POST": "personas:write"}`; HEAD and OPTIONS count as GET.
A method without a scope is open to keys without limits only. Whoever may not see the project gets the 404 of a project
that does not exist.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError

from keys import refusals
from keys.auth import Principal, credential, ring
from keys.models import Member, Project
from keys.permits import require_scope, require_secret
from keys.refusals import refusal
from keys.sessions import looks_like_one
from keys.visibility import visible_projects
from persona.lib.problems import Problem, no_such_thing

READING = frozenset({"GET", "HEAD", "OPTIONS"})
CHANGING = frozenset({Member.Role.OWNER, Member.Role.EDITOR})  # a view says `roles` where it takes fewer


class Routed(Protocol):
    """A view that is answering. (Django REST framework loads this module before its own APIView exists.)"""

    @property
    def kwargs(self) -> dict[str, Any]: ...


class KeyUser(msgspec.Struct, frozen=True):
    """What stands in `request.user` when a key is calling: no person, and nobody's permissions."""

    username: str
    pk: None = None
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    is_staff: bool = False
    is_superuser: bool = False

    def get_username(self) -> str:
        return self.username


class KeyAuthentication(BaseAuthentication):
    """`request.auth` becomes the Principal. Without any credential the next authentication is asked."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        key = credential(_lower(request.headers))
        if key is None or looks_like_one(key):  # a token: of a person, or of a browser, which may do nothing here
            return None
        principal = ring.resolve(key)
        return KeyUser(principal.lookup), principal

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class PersonAuthentication(JWTAuthentication):
    """`request.user` becomes the person of a token of `/api/auth/token/`. Keys are none of its business."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        if not looks_like_one(credential(_lower(request.headers)) or ""):
            return None
        try:
            return super().authenticate(request)
        except (AuthenticationFailed, TokenError):
            raise refusal(refusals.INVALID_SESSION) from None


class ProjectPermission(BasePermission):
    """Raises the Problem that says why not, so that it never returns False."""

    def has_permission(self, request: Request, view: Routed) -> bool:
        if isinstance(request.auth, Principal):
            _check_key(request.auth, request, view)
        elif isinstance(request.user, User):
            _check_person(request.user, request, view)
        else:
            raise refusal(refusals.MISSING)
        return True


def project_of(request: Request, view: Routed) -> Project:
    """The project this request is about, if the caller may see it. Raises the 404 otherwise."""
    slug = _slug(request, view)
    if isinstance(request.auth, Principal):
        if slug not in (None, request.auth.project):
            raise no_such_thing()
        found = Project.objects.filter(pk=request.auth.project_id).first()
    elif isinstance(request.user, User):
        found = _visible(request.user, slug)
    else:
        raise refusal(refusals.MISSING)
    if found is None:
        raise no_such_thing()
    return found


def actor_of(request: Request) -> User | str:
    """Whom the audit names: the person, or the key by its lookup."""
    return request.user if isinstance(request.user, User) else str(request.user.get_username())


def _check_key(principal: Principal, request: Request, view: Routed) -> None:
    require_secret(principal)
    if _slug(request, view) not in (None, principal.project):
        raise no_such_thing()
    scopes: Mapping[str, str] = getattr(view, "scopes", {})
    require_scope(principal, scopes.get("GET" if request.method in READING else str(request.method)))
    ring.note(principal, "api", _lower(request.headers))


def _check_person(person: User, request: Request, view: Routed) -> None:
    project = _visible(person, _slug(request, view))
    if project is None:
        raise no_such_thing()
    if request.method in READING or person.is_superuser:
        return
    role = Member.objects.filter(project=project, user=person).values_list("role", flat=True).first()
    if role not in getattr(view, "roles", CHANGING):
        raise refusal(refusals.ROLE)


def _visible(person: User, slug: str | None) -> Project | None:
    """Without a slug: the person's only project."""
    projects = visible_projects(person)
    if slug is not None:
        return projects.filter(slug=slug).first()
    mine = list(projects[:2])
    if len(mine) != 1:
        raise Problem(400, "project.required", "Say which project: add ?project=<slug> to the address.")
    return mine[0]


def _slug(request: Request, view: Routed) -> str | None:
    """The address names the project: in its path, or for the wires without one in `?project=`."""
    given = view.kwargs.get("project") or request.query_params.get("project")
    return None if given is None else str(given)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
