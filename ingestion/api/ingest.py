"""Ingest and what became of a batch, as Django views."""

from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ingestion.accepting import edge
from ingestion.accepting.door import SAFE, Door
from ingestion.dialects import pipeline
from ingestion.models import AppliedBatch, Batch
from keys.api.access import KeyAuthentication
from keys.auth import Principal
from keys.permits import require_origin, require_scope, require_secret
from keys.refusals import MISSING, refusal
from persona.lib.problems import no_such_thing
from persona.lib.wire import Answer

INGEST = Door(
    methods=("POST",),
    behind=partial(edge.accept, pipeline),
    refused=pipeline.refused,
    body_bytes=pipeline.LIMITS.body_bytes,
    too_large=partial(edge.too_large, pipeline),
)


class DoorView(APIView):
    """A door as a view: the same answers as through raw ASGI, for servers that speak WSGI."""

    door: ClassVar[Door]
    authentication_classes = ()  # the door asks for the key itself
    permission_classes = ()

    @property
    def default_response_headers(self) -> dict[str, str]:
        """None of DRF's own: the answer is complete."""
        return {}

    def through(self, request: Request) -> HttpResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        door = self.door
        answer = door.turned_away(request.method or "", headers)
        return _response(answer or door.answer_here(headers, request._request.body))

    def options(self, request: Request, *_: Any, **__: Any) -> HttpResponse:  # type: ignore[override]  # never DRF's
        return self.through(request)

    def http_method_not_allowed(  # type: ignore[override]  # never DRF's own Response
        self, request: Request, *_: Any, **__: Any
    ) -> HttpResponse:
        return self.through(request)


@extend_schema(tags=["pipeline"])
class IngestView(DoorView):
    """Accept a batch of 1 to 256 events. 202: it is committed; what is wrong with single events is in `errors`."""

    door = INGEST

    @extend_schema(operation_id="ingest", request=OpenApiTypes.OBJECT, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> HttpResponse:
        return self.through(request)


@extend_schema(tags=["pipeline"])
class BatchView(APIView):
    """What became of a batch: pending, applied or parked."""

    authentication_classes = (KeyAuthentication,)
    permission_classes = ()  # about no project in the path: the key's own

    @extend_schema(operation_id="batch", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, batch_id: str) -> Response:
        principal = request.auth
        if not isinstance(principal, Principal):
            raise refusal(MISSING)
        require_secret(principal)
        require_origin(principal, request.headers.get("origin"))
        require_scope(principal, edge.SEND_EVENTS)
        document = became(principal.project_id, batch_id)
        if document is None:
            raise no_such_thing()
        return Response(document)


def became(project_id: int, batch_id: str) -> dict[str, object] | None:
    """The state of a batch; None when the project has no such batch (any more)."""
    # Twice: between the first look and the second the batch may be applied and leave the inbox.
    return _applied(project_id, batch_id) or _waiting(project_id, batch_id) or _applied(project_id, batch_id)


def _applied(project_id: int, batch_id: str) -> dict[str, object] | None:
    done = AppliedBatch.objects.filter(project_id=project_id, batch_id=batch_id).first()
    if done is None:
        return None
    counts = {"stored": done.stored, "duplicates": done.duplicates, "rejected": done.rejected}
    return {"batchId": batch_id, "status": "applied", **counts}


def _waiting(project_id: int, batch_id: str) -> dict[str, object] | None:
    # No index holds these ids: it would cost each request 5 us and a seventh more log of writes, to spare whoever looks
    # into a long inbox 0.3 us for each batch that waits.
    waiting = Batch.objects.using(settings.INBOX_ALIAS).filter(project_id=project_id, batch_id=batch_id)
    found = waiting.values_list("parked", "error").first()
    if found is None:
        return None
    parked, error = found
    return (
        {"batchId": batch_id, "status": "parked", "error": error}
        if parked
        else {"batchId": batch_id, "status": "pending"}
    )


def _response(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.body, answer.media_type, answer.status, headers=dict((*answer.headers, *SAFE)))
