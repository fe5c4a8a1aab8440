"""SegOps' statistics and recent errors: for people with a token, and for secret keys."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ingestion import deadletters, shapes, stats
from keys.api.views import ProjectView, whole_number
from persona.lib.clock import rfc3339
from persona.lib.problems import Problem

READ = "stats:read"
MOST_ERRORS = 100

WINDOW = OpenApiParameter("window", str, enum=list(stats.WINDOWS))
LIMIT = OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 50})
RECENT = {"type": "array", "items": {"$ref": "#/components/schemas/RecentError"}}
PROJECT = OpenApiParameter("project", str, description="needed by people who are in several projects")


@extend_schema(tags=["wires"])
class StatsView(ProjectView):
    """What came in during the last 24 hours, by the hour, or the last 7 days, by the day."""

    scopes = {"GET": READ}

    @extend_schema(operation_id="stats", parameters=[WINDOW, PROJECT], responses=shapes.Statistics)
    def get(self, request: Request) -> Response:
        return counted(self, request)


class ProjectStatsView(ProjectView):
    """`/api/projects/{project}/stats`"""

    scopes = {"GET": READ}

    @extend_schema(operation_id="stats_get", parameters=[WINDOW], responses=shapes.Statistics)
    def get(self, request: Request, project: str) -> Response:
        return counted(self, request)


def counted(view: ProjectView, request: Request) -> Response:
    window = request.query_params.get("window", "24h")
    if window not in stats.WINDOWS:
        raise Problem(400, "request.parameter_invalid", f"window: one of {', '.join(stats.WINDOWS)}.")
    return Response(stats.of_window(view.project.pk, window))


@extend_schema(tags=["wires"])
class ErrorsView(ProjectView):
    """Events that could not be stored, newest first."""

    scopes = {"GET": READ}

    @extend_schema(
        operation_id="errors",
        parameters=[LIMIT, PROJECT],
        responses={(200, "application/json"): RECENT},
    )
    def get(self, request: Request) -> Response:
        limit = whole_number(request, "limit", 50, 1, 1_000_000)
        letters = deadletters.newest(project=self.project, limit=min(limit, MOST_ERRORS))
        return Response(
            [{"ts": rfc3339(letter.at), "error_type": letter.code, "detail": letter.detail} for letter in letters]
        )
