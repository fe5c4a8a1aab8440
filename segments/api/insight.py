"""The management API of looking ahead: what a rule would do, and what an event would do. Nothing is written."""

from typing import Any

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.api.views import body_as
from persona.lib.clock import parse_instant
from persona.lib.problems import Problem
from segments.api.personas import READ, ProjectView
from segments.insight import preview
from segments.insight.explaining import Answer, explain
from segments.insight.sandbox import Outlook, outlook
from segments.shapes import Rule


class Proposed(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a preview."""

    rule: Rule


class Imagined(msgspec.Struct, forbid_unknown_fields=True):
    """The body of the sandbox. profile: a public id or a userId; "": somebody nobody has seen yet."""

    event: Any
    profile: str = ""


class PreviewNew(ProjectView):
    """`/api/projects/{project}/personas/preview`: who would enter if this were saved as a new persona."""

    scopes = {"POST": READ}

    @extend_schema(operation_id="personas_preview_new", request=Proposed, responses={200: preview.Preview})
    def post(self, request: Request, project: str) -> Response:
        proposed = body_as(request, Proposed)
        return Response(msgspec.to_builtins(preview.preview(project=self.project, rule=proposed.rule)))


class Preview(ProjectView):
    """`/api/projects/{project}/personas/{slug}/preview`: who would move if this took the place of its rule."""

    scopes = {"POST": READ}

    @extend_schema(operation_id="personas_preview", request=Proposed, responses={200: preview.Preview})
    def post(self, request: Request, project: str, slug: str) -> Response:
        rule, persona = body_as(request, Proposed).rule, self.persona(slug)
        return Response(msgspec.to_builtins(preview.preview(project=self.project, rule=rule, persona=persona)))


class Explain(ProjectView):
    """`/api/projects/{project}/personas/{slug}/explain?profile=&at=`: why a profile is in, or not, and until when."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="personas_explain",
        parameters=[OpenApiParameter("profile", str, required=True), OpenApiParameter("at", OpenApiTypes.DATETIME)],
        responses=Answer,
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

    @extend_schema(operation_id="sandbox", request=Imagined, responses={200: Outlook})
    def post(self, request: Request, project: str) -> Response:
        imagined = body_as(request, Imagined)
        profile = self.profile(imagined.profile) if imagined.profile else None
        return Response(msgspec.to_builtins(outlook(project=self.project, event=imagined.event, profile=profile)))
