"""Which projects a signed-in person may see, and the door of every page about one project."""

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from keys.models import Project

Person = User | AbstractBaseUser | AnonymousUser
ProjectView = Callable[[HttpRequest, Project], HttpResponse]


def visible_projects(person: Person) -> QuerySet[Project]:
    """The projects in which the person has a role; a superuser sees all. Newest first."""
    projects = Project.objects.order_by("-id")
    if isinstance(person, User) and person.is_active and person.is_superuser:
        return projects
    return projects.filter(members__user__username=person.get_username())


def project_page(view: ProjectView) -> Callable[..., HttpResponse]:
    """A page about the project named by `slug` in its address.

    What is not the visitor's to see answers exactly like what does not exist: 404, same body.
    """

    @never_cache
    @require_safe
    @login_required
    @wraps(view)
    def page(request: HttpRequest, slug: str) -> HttpResponse:
        project = visible_projects(request.user).filter(slug=slug).first()
        if project is None:
            raise Http404
        return view(request, project)

    return page
