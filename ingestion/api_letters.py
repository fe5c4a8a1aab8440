"""The management API of what could not be stored: dead letters, and batches that were set aside."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from ingestion import deadletters, waiting
from ingestion.models import Batch, DeadLetter
from keys.access import actor_of
from keys.api import ProjectView, whole_number
from persona.lib.clock import rfc3339
from persona.lib.problems import Problem, no_such_thing

READ, WRITE = "stats:read", "events:write"
PAGE, MOST = 100, 1_000
NEWEST = 2**63 - 1
DOWNLOAD_BYTES = 8 * 1024 * 1024  # of events in one answer
AT_ONCE = 100  # letters put back with one request

PAGES = [OpenApiParameter("cursor", str), OpenApiParameter("limit", int), OpenApiParameter("batch", str)]

Shape = TypeVar("Shape")


class Correction(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a redrive: the event as it should have been; nothing to send it as it was."""

    event: msgspec.Raw = msgspec.Raw()


class Chosen(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a redrive of several."""

    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=AT_ONCE)]


class LettersView(ProjectView):
    """Of dead letters."""

    def page(self, request: Request) -> tuple[list[DeadLetter], str | None]:
        """The letters asked for, newest first, and the cursor of the next page."""
        before = whole_number(request, "cursor", NEWEST, 0, NEWEST)
        limit = whole_number(request, "limit", PAGE, 1, MOST)
        batch = request.query_params.get("batch", "")
        found = deadletters.newest(project=self.project, before=before, limit=limit, batch=batch)
        return found, str(found[-1].pk) if len(found) == limit else None

    def letter(self, number: str) -> DeadLetter:
        if not number.isascii() or not number.isdigit() or int(number[:20]) > NEWEST:
            raise no_such_thing()
        found = DeadLetter.objects.select_related("project").filter(project=self.project, id=int(number)).first()
        if found is None:
            raise no_such_thing()
        return found


class DeadLetters(LettersView):
    """`/api/projects/{project}/dead-letters`"""

    scopes = {"GET": READ}

    @extend_schema(operation_id="dead_letters_list", parameters=PAGES, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, project: str) -> Response:
        found, following = self.page(request)
        return Response({"results": [shown(letter) for letter in found], "next": following})


class Download(LettersView):
    """`/api/projects/{project}/dead-letters/download`: one a line, as many as fit; Link has the rest."""

    scopes = {"GET": READ}

    @extend_schema(operation_id="dead_letters_download", parameters=PAGES, responses=OpenApiTypes.STR)
    def get(self, request: Request, project: str) -> HttpResponse:
        found, following = self.page(request)
        fitting = _fitting(found)
        if len(fitting) < len(found):
            following = str(fitting[-1].pk)
        text = b"".join(msgspec.json.encode(shown(letter)) + b"\n" for letter in fitting)
        answer = HttpResponse(text, "application/x-ndjson")
        answer["Content-Disposition"] = f'attachment; filename="dead-letters-{self.project.slug}.ndjson"'
        if following:
            query = request.query_params.copy()
            query["cursor"] = following
            answer["Link"] = f'<{request.path}?{query.urlencode()}>; rel="next"'
        return answer


class Letter(LettersView):
    """`/api/projects/{project}/dead-letters/{id}`"""

    scopes = {"GET": READ, "DELETE": WRITE}

    @extend_schema(operation_id="dead_letters_get", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, project: str, number: str) -> Response:
        return Response(shown(self.letter(number)))

    @extend_schema(operation_id="dead_letters_discard", responses={204: None})
    def delete(self, request: Request, project: str, number: str) -> Response:
        deadletters.discard(letter=self.letter(number), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Redrive(LettersView):
    """`/api/projects/{project}/dead-letters/{id}/redrive`"""

    scopes = {"POST": WRITE}
    parser_classes = ()  # the event is taken byte by byte: what a parser makes of it may be something else

    @extend_schema(
        operation_id="dead_letters_redrive", request=OpenApiTypes.OBJECT, responses={202: OpenApiTypes.OBJECT}
    )
    def post(self, request: Request, project: str, number: str) -> Response:
        letter = self.letter(number)
        given = _body(request, Correction)
        event = bytes(given.event) or None
        return Response(
            {"batchId": deadletters.redrive(letter=letter, actor=actor_of(request), event=event)},
            status=status.HTTP_202_ACCEPTED,
        )


class RedriveMany(LettersView):
    """`/api/projects/{project}/dead-letters/redrive`"""

    scopes = {"POST": WRITE}
    parser_classes = ()

    @extend_schema(
        operation_id="dead_letters_redrive_many", request=OpenApiTypes.OBJECT, responses={202: OpenApiTypes.OBJECT}
    )
    def post(self, request: Request, project: str) -> Response:
        chosen = [number for number in _body(request, Chosen).ids if number.isascii() and number.isdigit()]
        letters = DeadLetter.objects.select_related("project").filter(
            project=self.project, id__in=[int(number) for number in chosen if int(number[:20]) <= NEWEST]
        )
        done, refused = deadletters.redrive_all(letters=letters.order_by("id"), actor=actor_of(request))
        return Response({"redriven": done, "refused": refused}, status=status.HTTP_202_ACCEPTED)


class Parked(ProjectView):
    """`/api/projects/{project}/parked-batches`"""

    scopes = {"GET": READ}

    @extend_schema(operation_id="parked_batches_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, project: str) -> Response:
        rows = Batch.objects.using(settings.INBOX_ALIAS).filter(project_id=self.project.pk, parked=True)
        limit = whole_number(request, "limit", PAGE, 1, MOST)
        found = rows.order_by("id").defer("body")[:limit]
        return Response({"results": [_parked(batch) for batch in found]})


class Retry(ProjectView):
    """`/api/projects/{project}/parked-batches/{batchId}/retry`"""

    scopes = {"POST": WRITE}

    @extend_schema(operation_id="parked_batches_retry", request=None, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: Request, project: str, batch: str) -> Response:
        rows = Batch.objects.using(settings.INBOX_ALIAS).filter(project_id=self.project.pk, batch_id=batch, parked=True)
        tried = [waiting.unpark(self.project.pk, number) for number in rows.values_list("id", flat=True)]
        if not any(tried):
            raise no_such_thing()
        return Response({"batchId": batch, "status": "pending"}, status=status.HTTP_202_ACCEPTED)


def shown(letter: DeadLetter) -> dict[str, Any]:
    """`event` is what was sent, as text: it may be anything but JSON."""
    return {
        "id": str(letter.pk),
        "batchId": letter.batch_id,
        "index": letter.index,
        "wire": letter.dialect,
        "code": letter.code,
        "detail": letter.detail,
        "received_at": rfc3339(letter.received_at),
        "at": rfc3339(letter.at),
        "event": bytes(letter.body).decode(errors="replace"),
    }


def _fitting(letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
    """The first of them, at least one, within DOWNLOAD_BYTES."""
    size = 0
    for place, letter in enumerate(letters):
        size += len(letter.body)
        if size > DOWNLOAD_BYTES and place:
            return letters[:place]
    return letters


def _parked(batch: Batch) -> dict[str, Any]:
    return {
        "batchId": batch.batch_id,
        "wire": batch.dialect,
        "events": batch.n,
        "received_at": rfc3339(batch.received_at),
        "error": batch.error,
    }


def _body(request: Request, shape: type[Shape]) -> Shape:
    """An empty body is an empty object. Raises Problem 400 request.invalid or request.not_json."""
    try:
        return msgspec.json.decode(request._request.body or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise Problem(400, "request.invalid", f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(400, "request.not_json", "The body is not JSON.") from None
