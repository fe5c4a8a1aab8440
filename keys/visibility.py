"""Which projects a signed-in person may see, and the doors of the pages about one project."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from keys.models import Member, Project

Person = User | AbstractBaseUser | AnonymousUser
OWNERS = "Only owners of the project open this. Ask one of them: they are listed under People."
EDITORS = "Owners and editors of the project do this. You may look at it: ask an owner for another role."
ProjectView = Callable[..., HttpResponseBase]  # (request, project, what else the address names)


def visible_projects(person: Person) -> QuerySet[Project]:
    """The projects in which the person has a role; a superuser sees all. Newest first."""
    projects = Project.objects.order_by("-id")
    if isinstance(person, User) and person.is_active and person.is_superuser:
        return projects
    return projects.filter(members__user__username=person.get_username())


def with_role(projects: QuerySet[Project], person: Person) -> QuerySet[Project]:
    """Each with the person's own role as `mine`, for what a page offers."""
    own = Member.objects.filter(project=OuterRef("pk"), user__username=person.get_username())
    return projects.annotate(mine=Subquery(own.values("role")[:1]))


def may_change(person: Person, project: Project) -> bool:
    """Owners, editors and superusers change what belongs to a project; viewers look."""
    if isinstance(person, User) and person.is_active and person.is_superuser:
        return True
    changing = (Member.Role.OWNER, Member.Role.EDITOR)
    return project.members.filter(user__username=person.get_username(), role__in=changing).exists()


def manages(person: Person, project: Project) -> bool:
    """Owners and superusers manage people and settings."""
    if isinstance(person, User) and person.is_active and person.is_superuser:
        return True
    return project.members.filter(user__username=person.get_username(), role=Member.Role.OWNER).exists()


def project_page(view: ProjectView) -> Callable[..., HttpResponseBase]:
    """A page to look at, about the project named by `slug` in its address.

    What is not the visitor's to see answers exactly like what does not exist: 404, same body.
    """

    @never_cache
    @require_safe
    @login_required
    @wraps(view)
    def page(request: HttpRequest, slug: str, **more: Any) -> HttpResponseBase:
        return view(request, _visible(request, slug), **more)

    return page


def project_form(view: ProjectView) -> Callable[..., HttpResponseBase]:
    """A page on which something of the project is changed: the same, and 403 for who may only look."""
    return _allowed(may_change, view, EDITORS)


def owner_form(view: ProjectView) -> Callable[..., HttpResponseBase]:
    """A page about people or settings: the same, and 403 for who is not an owner."""
    return _allowed(manages, view, OWNERS)


def _allowed(
    allows: Callable[[Person, Project], bool], view: ProjectView, refused: str
) -> Callable[..., HttpResponseBase]:
    @never_cache
    @require_http_methods(["GET", "HEAD", "POST"])
    @login_required
    @wraps(view)
    def page(request: HttpRequest, slug: str, **more: Any) -> HttpResponseBase:
        project = _visible(request, slug)
        if not allows(request.user, project):
            raise PermissionDenied(refused)
        return view(request, project, **more)

    return page


def _visible(request: HttpRequest, slug: str) -> Project:
    project = with_role(visible_projects(request.user), request.user).filter(slug=slug).first()
    if project is None:
        raise Http404
    return project
