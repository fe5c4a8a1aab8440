"""The management API of what a person may ask for: a copy of everything, and that nothing is left."""

from typing import Any

import msgspec
from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from ingestion import tombstones
from ingestion.applying.cursors import bulk_transaction
from ingestion.applying.identity import Key
from ingestion.events import ID_LENGTH
from ingestion.models import Alias, Profile
from keys.api.access import actor_of
from keys.api.idempotency import idempotent
from keys.api.views import ProjectView, body_as, next_page, page_from, paged, whole_number
from keys.audit import record
from keys.models import AuditEntry
from persona.lib.clock import milliseconds, rfc3339
from persona.lib.problems import Problem, no_such_thing
from persona.privacy import erase
from persona.privacy.export import stream
from segments.cursors import clock, raw_cursor
from segments.insight import reading

READ, WRITE = "profiles:read", "profiles:write"
PAGE, MOST = 50, 500
WHO = [OpenApiParameter(name, str) for name in ("profile", "user_id", "anonymous_id")]


class Who(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one of the three. suppress: never again anything with these ids."""

    profile: str = ""
    user_id: str = ""
    anonymous_id: str = ""
    suppress: bool = False


class OneId(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one of the two."""

    user_id: str = ""
    anonymous_id: str = ""


class Suppression(msgspec.Struct):
    """Whether an id is on the suppression list."""

    suppressed: bool


class PastErasure(msgspec.Struct):
    """An erasure as the audit tells it."""

    id: str
    profile: str
    at: str
    by: str
    counts: dict[str, Any]


class ErasurePage(msgspec.Struct):
    """Newest first."""

    results: list[PastErasure]
    next: str | None


class PersonView(ProjectView):
    """A view that is about one person, who is named in the body or the query: never in the path, which logs keep."""

    def found(self, who: Who) -> Profile:
        given = [
            (value, kind)
            for value, kind in (
                (who.profile, ""),
                (who.user_id, Alias.Kind.USER),
                (who.anonymous_id, Alias.Kind.ANONYMOUS),
            )
            if value
        ]
        if len(given) != 1:
            raise Problem(400, "request.parameter_missing", "Say which profile: profile, user_id or anonymous_id.")
        profile = reading.profile_by(self.project, reference=given[0][0], kind=given[0][1])
        if profile is None:
            raise no_such_thing()
        return profile


def _past(row: AuditEntry) -> PastErasure:
    """With the instant of its receipt, up to which events are dropped; the entry itself was written a little later."""
    counts = {name: found for name, found in row.detail.items() if name != "at"}
    at = row.detail.get("at") or rfc3339(milliseconds(row.at))
    return PastErasure(f"x_{row.pk}", row.target, at, row.actor, counts)


class Erasures(PersonView):
    """`/api/projects/{project}/erasures`"""

    scopes = {"GET": READ, "POST": WRITE}

    @extend_schema(
        operation_id="erasures_list",
        parameters=[*paged(MOST, PAGE)],
        responses=ErasurePage,
    )
    def get(self, request: Request, project: str) -> Response:
        limit, before = whole_number(request, "limit", PAGE, 1, MOST), page_from(request)
        rows = AuditEntry.objects.filter(project=self.project, action="profile.erased").order_by("-id")
        page = list((rows if before is None else rows.filter(id__lt=before))[: limit + 1])
        results = [_past(row) for row in page[:limit]]
        token = next_page(request, page[limit - 1].pk if len(page) > limit else None)
        return Response(msgspec.to_builtins(ErasurePage(results, token)))

    @extend_schema(operation_id="erasures_create", request=Who, responses={201: erase.Receipt})
    @idempotent
    def post(self, request: Request, project: str) -> Response:
        who = body_as(request, Who)
        receipt = erase.erase(
            project=self.project, profile=self.found(who), suppress=who.suppress, actor=actor_of(request)
        )
        return Response(msgspec.to_builtins(receipt), status=status.HTTP_201_CREATED)


class Export(PersonView):
    """`/api/projects/{project}/export`: NDJSON."""

    scopes = {"GET": READ}

    @extend_schema(
        operation_id="profiles_export", parameters=WHO, responses={(200, "application/x-ndjson"): OpenApiTypes.STR}
    )
    def get(self, request: Request, project: str) -> HttpResponseBase:
        asked = [request.query_params.get(name, "") for name in ("profile", "user_id", "anonymous_id")]
        profile = self.found(Who(asked[0], asked[1], asked[2]))
        record(project=self.project, actor=actor_of(request), action="profile.exported", target=profile.public_id)
        return StreamingHttpResponse(stream(self.project, profile), content_type="application/x-ndjson")


class Suppressions(PersonView):
    """`/api/projects/{project}/suppressions`: ids of which nothing is taken; kept as digests, so none is listed."""

    scopes = {"GET": READ, "POST": WRITE, "DELETE": WRITE}

    @extend_schema(operation_id="suppressions_get", parameters=WHO[1:], responses=Suppression)
    def get(self, request: Request, project: str) -> Response:
        key = self._key(request)
        return Response(msgspec.to_builtins(Suppression(tombstones.is_suppressed(self.project.pk, key))))

    @extend_schema(operation_id="suppressions_add", request=OneId, responses={201: Suppression})
    @idempotent
    def post(self, request: Request, project: str) -> Response:
        key = _one_key(body_as(request, OneId))
        with raw_cursor() as rows:
            now = clock(rows)
        with bulk_transaction() as cursor:
            # Of what is stored nothing is touched, and what happened up to now counts: only the list says no.
            tombstones.bury(cursor, self.project.pk, [key], at=now, suppressed=True)
            record(project=self.project, actor=actor_of(request), action="suppression.added", target=key[0])
        return Response(msgspec.to_builtins(Suppression(suppressed=True)), status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="suppressions_lift", parameters=WHO[1:], responses={204: None})
    def delete(self, request: Request, project: str) -> Response:
        key = self._key(request)
        if not tombstones.lift(self.project.pk, key):
            raise no_such_thing()
        record(project=self.project, actor=actor_of(request), action="suppression.lifted", target=key[0])
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _key(self, request: Request) -> Key:
        named = [name for name in ("user_id", "anonymous_id") if name in request.query_params]
        if len(named) > 1:
            raise Problem(400, "request.parameter_missing", "Say which id: user_id or anonymous_id.")
        return _one_key(OneId(*(request.query_params.get(name, "") for name in ("user_id", "anonymous_id"))))


def _one_key(given: OneId) -> Key:
    keys = [
        (kind, value)
        for kind, value in ((Alias.Kind.USER, given.user_id), (Alias.Kind.ANONYMOUS, given.anonymous_id))
        if value
    ]
    if len(keys) != 1:
        raise Problem(400, "request.parameter_missing", "Say which id: user_id or anonymous_id.")
    if len(keys[0][1]) > ID_LENGTH:
        raise Problem(400, "request.parameter_invalid", f"An id has at most {ID_LENGTH} characters.")
    return keys[0][0].value, keys[0][1]
