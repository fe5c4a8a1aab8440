"""The management API of definitions from elsewhere: what they are as rules. Nothing is saved."""

from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.api.views import body_as
from persona.lib.problems import Problem
from segments import definitions
from segments.api.personas import READ, ProjectView
from segments.imports import segops
from segments.rules import RuleError
from segments.shapes import ShownRule


class Segment(msgspec.Struct, forbid_unknown_fields=True):
    """The body: a segment's definition, and the personas that stand for the segments it refers to, by their ids."""

    logic: Any
    conditions: Any
    personas: dict[str, str] = {}


class Note(msgspec.Struct):
    """What to know about a part of it."""

    path: str
    detail: str


class Imported(msgspec.Struct):
    """A rule, ready to be saved."""

    rule: ShownRule
    notes: list[Note]


class SegOps(ProjectView):
    """`/api/projects/{project}/personas/import/segops`: the rule that a segment of SegOps is, ready to be saved."""

    scopes = {"POST": READ}

    @extend_schema(operation_id="personas_import_segops", request=Segment, responses={200: Imported})
    def post(self, request: Request, project: str) -> Response:
        segment = body_as(request, Segment)
        known = definitions.documents_of(self.project.pk)
        try:
            found = segops.to_rule(
                {"logic": segment.logic, "conditions": segment.conditions},
                personas=segment.personas,
                retention=self.project.retention,
                resolve=known.get,
            )
        except RuleError as error:
            raise Problem(400, "rule.invalid", str(error), extra={"path": error.path}) from None
        notes = [Note(**note._asdict()) for note in found.notes]
        return Response(msgspec.to_builtins(Imported(found.rule, notes)))
