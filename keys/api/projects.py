"""The management API of projects and of what each has set for itself."""

from typing import Any

import msgspec
from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from keys import project_settings, refusals, services, shapes
from keys.api.access import READING, actor_of
from keys.api.views import PacedView, ProjectView, body_as, next_page, page_from, paged, whole_number
from keys.auth import Principal
from keys.models import Member, Project, ProjectSettings, SettingsVersion
from keys.permits import require_secret
from keys.preconditions import require_match
from keys.refusals import refusal
from keys.visibility import visible_projects

PAGE, MOST = 20, 100


class Anyone(BasePermission):
    """A key sees its own project, a person theirs; only operators of the installation make new ones."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if isinstance(request.auth, Principal):
            require_secret(request.auth)
        elif not isinstance(request.user, User):
            raise refusal(refusals.MISSING)
        if request.method in READING:
            return True
        if not isinstance(request.user, User) or not request.user.is_staff:
            raise refusal(refusals.ROLE, "Only an operator of this installation makes projects.")
        return True


class Projects(PacedView):
    """`/api/projects`"""

    permission_classes = (Anyone,)

    @extend_schema(operation_id="projects_list", parameters=paged(MOST, PAGE), responses=shapes.ProjectPage)
    def get(self, request: Request) -> Response:
        limit, before = whole_number(request, "limit", PAGE, 1, MOST), page_from(request)
        if isinstance(request.auth, Principal):
            rows = Project.objects.filter(pk=request.auth.project_id)
        else:
            rows = visible_projects(request.user)
        page = list((rows if before is None else rows.filter(id__lt=before)).order_by("-id")[: limit + 1])
        results = [shapes.project_shown(row) for row in page[:limit]]
        token = next_page(request, page[limit - 1].pk if len(page) > limit else None)
        return Response(msgspec.to_builtins(shapes.ProjectPage(results, token)))

    @extend_schema(operation_id="projects_create", request=shapes.NewProject, responses={201: shapes.ProjectShown})
    def post(self, request: Request) -> Response:
        new = body_as(request, shapes.NewProject)
        owner = request.user
        if not isinstance(owner, User):
            raise refusal(refusals.ROLE)
        made = services.create_project(slug=new.slug, name=new.name, mode=new.mode, owner=owner, actor=owner)
        headers = {"Location": f"{request.path.rstrip('/')}/{made.slug}"}
        return Response(
            msgspec.to_builtins(shapes.project_shown(made)), status=status.HTTP_201_CREATED, headers=headers
        )


class ProjectDetail(ProjectView):
    """`/api/projects/{project}`"""

    scopes = {"GET": "stats:read"}

    @extend_schema(operation_id="projects_get", responses=shapes.ProjectShown)
    def get(self, request: Request, project: str) -> Response:
        return Response(msgspec.to_builtins(shapes.project_shown(self.project)))


class Settings(ProjectView):
    """`/api/projects/{project}/settings`: only keys without limits, and of people only owners."""

    roles = frozenset({Member.Role.OWNER})

    @extend_schema(operation_id="settings_get", responses=ProjectSettings)
    def get(self, request: Request, project: str) -> Response:
        return self._shown()

    @extend_schema(
        operation_id="settings_change",
        request=shapes.ChangedSettings,
        responses=ProjectSettings,
    )
    def patch(self, request: Request, project: str) -> Response:
        changes = body_as(request, dict[str, Any])
        project_settings.change_settings(
            project=self.project,
            changes=changes,
            actor=actor_of(request),
            check=lambda found: require_match(request, project_settings.settings_etag(found), required=True),
        )
        self.project.refresh_from_db()
        return self._shown()

    def _shown(self) -> Response:
        headers = {"ETag": project_settings.settings_etag(self.project)}
        return Response(msgspec.to_builtins(self.project.options), headers=headers)


class SettingsVersions(ProjectView):
    """`/api/projects/{project}/settings/versions`"""

    @extend_schema(
        operation_id="settings_versions",
        parameters=[*paged(MOST, PAGE)],
        responses=shapes.SettingsPage,
    )
    def get(self, request: Request, project: str) -> Response:
        limit, before = whole_number(request, "limit", PAGE, 1, MOST), page_from(request)
        rows = SettingsVersion.objects.filter(project=self.project).order_by("-version")
        page = list((rows if before is None else rows.filter(version__lt=before))[: limit + 1])
        results = [shapes.settings_shown(row) for row in page[:limit]]
        token = next_page(request, page[limit - 1].version if len(page) > limit else None)
        return Response(msgspec.to_builtins(shapes.SettingsPage(results, token)))
