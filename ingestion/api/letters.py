"""The management API of what could not be stored: dead letters, and batches that were set aside."""

import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from ingestion import deadletters, parked, shapes
from ingestion.models import Batch, DeadLetter
from keys.api.access import actor_of
from keys.api.idempotency import idempotent
from keys.api.views import ProjectView, next_page, page_from, paged, whole_number
from persona.lib.problems import Problem, no_such_thing

READ, WRITE = "stats:read", "events:write"
PAGE, MOST = 100, 1_000
DIGITS = 18  # of a number that any row can have
NUMBER = re.compile(rf"[0-9]{{1,{DIGITS}}}")
DOWNLOAD_BYTES = 8 * 1024 * 1024  # of events in one answer

BATCH = OpenApiParameter("batch", str, description="only those of this batch")
NDJSON = {(200, "application/x-ndjson"): OpenApiTypes.STR}
PAGES = [*paged(MOST, PAGE), BATCH]

Shape = TypeVar("Shape")


class LettersView(ProjectView):
    """Of dead letters."""

    def page(self, request: Request) -> tuple[list[DeadLetter], str | None]:
        """The letters asked for, newest first, and the cursor of the next page."""
        before, limit = page_from(request), whole_number(request, "limit", PAGE, 1, MOST)
        batch = request.query_params.get("batch", "")
        found = deadletters.newest(project=self.project, before=before, limit=limit + 1, batch=batch)
        return found[:limit], next_page(request, found[limit - 1].pk if len(found) > limit else None)

    def letter(self, number: str) -> DeadLetter:
        if len(number) > DIGITS:
            raise no_such_thing()
        found = DeadLetter.objects.select_related("project").filter(project=self.project, id=int(number)).first()
        if found is None:
            raise no_such_thing()
        return found


class DeadLetters(LettersView):
    """`/api/projects/{project}/dead-letters`"""

    scopes = {"GET": READ}

    @extend_schema(operation_id="dead_letters_list", parameters=PAGES, responses=shapes.LetterPage)
    def get(self, request: Request, project: str) -> Response:
        found, following = self.page(request)
        page = shapes.LetterPage([shapes.letter_shown(letter) for letter in found], following)
        return Response(msgspec.to_builtins(page))


class Download(LettersView):
    """`/api/projects/{project}/dead-letters/download`: one a line, as many as fit; Link has the rest."""

    scopes = {"GET": READ}

    @extend_schema(operation_id="dead_letters_download", parameters=PAGES, responses=NDJSON)
    def get(self, request: Request, project: str) -> HttpResponse:
        found, following = self.page(request)
        fitting = _fitting(found)
        if len(fitting) < len(found):
            following = next_page(request, fitting[-1].pk)
        text = b"".join(msgspec.json.encode(shapes.letter_shown(letter)) + b"\n" for letter in fitting)
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

    @extend_schema(operation_id="dead_letters_get", responses=shapes.LetterShown)
    def get(self, request: Request, project: str, number: str) -> Response:
        return Response(msgspec.to_builtins(shapes.letter_shown(self.letter(number))))

    @extend_schema(operation_id="dead_letters_discard", responses={204: None})
    def delete(self, request: Request, project: str, number: str) -> Response:
        deadletters.discard(letter=self.letter(number), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Redrive(LettersView):
    """`/api/projects/{project}/dead-letters/{id}/redrive`"""

    scopes = {"POST": WRITE}
    parser_classes = ()  # the event is taken byte by byte: what a parser makes of it may be something else

    @extend_schema(operation_id="dead_letters_redrive", request=None, responses={202: shapes.Redriven})
    @idempotent
    def post(self, request: Request, project: str, number: str) -> Response:
        letter = self.letter(number)
        given = _body(request, shapes.Correction)
        event = bytes(given.event) or None
        batch = deadletters.redrive(letter=letter, actor=actor_of(request), event=event)
        return Response(msgspec.to_builtins(shapes.Redriven(batch)), status=status.HTTP_202_ACCEPTED)


class RedriveMany(LettersView):
    """`/api/projects/{project}/dead-letters/redrive`"""

    scopes = {"POST": WRITE}
    parser_classes = ()

    @extend_schema(operation_id="dead_letters_redrive_many", request=None, responses={202: shapes.RedrivenSome})
    @idempotent
    def post(self, request: Request, project: str) -> Response:
        chosen = [int(number) for number in _body(request, shapes.Chosen).ids if NUMBER.fullmatch(number)]
        letters = DeadLetter.objects.select_related("project").filter(project=self.project, id__in=chosen)
        done, refused = deadletters.redrive_all(letters=letters.order_by("id"), actor=actor_of(request))
        found = shapes.RedrivenSome(done, refused)
        return Response(msgspec.to_builtins(found), status=status.HTTP_202_ACCEPTED)


class Parked(ProjectView):
    """`/api/projects/{project}/parked-batches`"""

    scopes = {"GET": READ}

    @extend_schema(operation_id="parked_batches_list", parameters=paged(MOST, PAGE), responses=shapes.ParkedPage)
    def get(self, request: Request, project: str) -> Response:
        after, limit = page_from(request) or 0, whole_number(request, "limit", PAGE, 1, MOST)
        rows = Batch.objects.using(settings.INBOX_ALIAS).filter(project_id=self.project.pk, parked=True, id__gt=after)
        found = list(rows.order_by("id").defer("body")[: limit + 1])
        token = next_page(request, found[limit - 1].pk if len(found) > limit else None)
        page = shapes.ParkedPage([shapes.parked_shown(batch) for batch in found[:limit]], token)
        return Response(msgspec.to_builtins(page))


class Retry(ProjectView):
    """`/api/projects/{project}/parked-batches/{batchId}/retry`"""

    scopes = {"POST": WRITE}

    @extend_schema(operation_id="parked_batches_retry", request=None, responses={202: shapes.Tried})
    @idempotent
    def post(self, request: Request, project: str, batch: str) -> Response:
        rows = Batch.objects.using(settings.INBOX_ALIAS).filter(project_id=self.project.pk, batch_id=batch, parked=True)
        tried = [
            parked.retry(project=self.project, row=number, actor=actor_of(request))
            for number in rows.values_list("id", flat=True)
        ]
        if not any(tried):
            raise no_such_thing()
        return Response(msgspec.to_builtins(shapes.Tried(batch)), status=status.HTTP_202_ACCEPTED)


def _fitting(letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
    """The first of them, at least one, within DOWNLOAD_BYTES."""
    size = 0
    for place, letter in enumerate(letters):
        size += len(letter.body)
        if size > DOWNLOAD_BYTES and place:
            return letters[:place]
    return letters


def _body(request: Request, shape: type[Shape]) -> Shape:
    """An empty body is an empty object. Raises Problem 400 request.invalid or request.not_json."""
    try:
        return msgspec.json.decode(request._request.body or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise Problem(400, "request.invalid", f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(400, "request.not_json", "The body is not JSON.") from None
