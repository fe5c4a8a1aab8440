"""The management API of looking ahead: what a rule would do, and what an event would do. Nothing is written."""

from typing import Any

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from persona.lib.clock import parse_instant
from persona.lib.problems import Problem
from segments.api import READ, ProjectView, body_as
from segments.insight.explaining import explain
from segments.insight.preview import preview
from segments.insight.sandbox import outlook


class Proposed(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a preview."""

    rule: Any


class Imagined(msgspec.Struct, forbid_unknown_fields=True):
    """The body of the sandbox. profile: a public id or a userId; "": somebody nobody has seen yet."""

    event: Any
    profile: str = ""


class Preview(ProjectView):
    """`/api/projects/{project}/personas/preview` and `/personas/{slug}/preview`: who would move if this were saved."""

    scopes = {"POST": READ}

    @extend_schema(operation_id="personas_preview", request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, project: str, slug: str = "") -> Response:
        proposed = body_as(request, Proposed)
        persona = self.persona(slug) if slug else None
        return Response(msgspec.to_builtins(preview(project=self.project, rule=proposed.rule, persona=persona)))


class Explain(ProjectView):
    """`/api/projects/{project}/personas/{slug}/explain?profile=&at=`: why a profile is in, or not, and until when."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="personas_explain",
        parameters=[OpenApiParameter("profile", str), OpenApiParameter("at", OpenApiTypes.DATETIME)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, project: str, slug: str) -> Response:
        reference = request.query_params.get("profile", "")
        if not reference:
            raise Problem(
                400, "request.parameter_missing", "Say which profile: ?profile= with a public id or a userId."
            )
        answer = explain(persona=self.persona(slug), profile=self.profile(reference), at=_instant(request))
        return Response(msgspec.to_builtins(answer))


def _instant(request: Request) -> int | None:
    given = request.query_params.get("at")
    if given is None:
        return None
    at = parse_instant(given)
    if at is None:
        raise Problem(400, "request.parameter_invalid", "at: an instant is needed, such as 2026-11-24T10:14:05Z.")
    return at


class Sandbox(ProjectView):
    """`/api/projects/{project}/sandbox`: which personas this event would change, at once and over the next 30 days."""

    scopes = {"POST": "profiles:read"}

    @extend_schema(operation_id="sandbox", request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, project: str) -> Response:
        imagined = body_as(request, Imagined)
        profile = self.profile(imagined.profile) if imagined.profile else None
        return Response(msgspec.to_builtins(outlook(project=self.project, event=imagined.event, profile=profile)))
