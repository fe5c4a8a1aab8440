"""The management API of personas, profiles and the change log. Views read, call one function, answer."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, TypeVar

import msgspec
from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import UNSET, UnsetType
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ingestion.models import Alias, Profile
from keys.access import actor_of, project_of
from keys.idempotency import idempotent
from keys.models import Project
from keys.preconditions import etag, require_match
from persona.lib.clock import milliseconds, rfc3339
from persona.lib.problems import Problem, no_such_thing
from segments import log, services, warnings, watermark
from segments.insight import reading
from segments.models import Persona

PAGE, MOST = 100, 1_000
READ, WRITE = "personas:read", "personas:write"
Shape = TypeVar("Shape")


class NewPersona(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a create."""

    slug: str
    rule: Any
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    status: str = "live"
    silent: bool = False


class ChangedPersona(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a change: what is left out stays."""

    rule: Any = UNSET
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    status: str | UnsetType = UNSET
    silent: bool = False


class ProjectView(APIView):
    """A view of one project; access is checked by the permission class, scopes by method."""

    scopes: Mapping[str, str] = {}

    @cached_property
    def project(self) -> Project:
        """Looked up once a request."""
        return project_of(self.request, self)

    def persona(self, slug: str) -> Persona:
        found = (
            Persona.objects.select_related("project").filter(project=self.project, slug=slug, deleted_at=None).first()
        )
        if found is None:
            raise no_such_thing()
        return found

    def profile(self, reference: str) -> Profile:
        """By public id, else by userId."""
        found = reading.profile_by(self.project, reference=reference)
        found = found or reading.profile_by(self.project, reference=reference, kind=Alias.Kind.USER)
        if found is None:
            raise no_such_thing()
        return found

    def shown(self, persona: Persona) -> dict[str, Any]:
        return shown(self.project, [persona])[0]


class Personas(ProjectView):
    """`/api/projects/{project}/personas`"""

    scopes = {"GET": READ, "POST": WRITE}

    @extend_schema(operation_id="personas_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, project: str) -> Response:
        found = list(Persona.objects.filter(project=self.project, deleted_at=None).order_by("slug"))
        return Response({"results": shown(self.project, found), "next": None})

    @extend_schema(operation_id="personas_create", request=OpenApiTypes.OBJECT, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, project: str) -> Response:
        new = body_as(request, NewPersona)
        persona = services.create_persona(
            project=self.project,
            slug=new.slug,
            name=new.name,
            rule=new.rule,
            status=new.status,
            silent=new.silent,
            actor=actor_of(request),
        )
        location = f"{request.path.rstrip('/')}/{persona.slug}"
        return Response(self.shown(persona), status=status.HTTP_201_CREATED, headers={"Location": location})


class PersonaDetail(ProjectView):
    """`/api/projects/{project}/personas/{slug}`"""

    scopes = {"GET": READ, "PATCH": WRITE, "DELETE": WRITE}

    @extend_schema(operation_id="personas_get", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, project: str, slug: str) -> Response:
        persona = self.persona(slug)
        return Response(self.shown(persona), headers={"ETag": _etag(persona)})

    @extend_schema(operation_id="personas_change", request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, project: str, slug: str) -> Response:
        changes = msgspec.to_builtins(body_as(request, ChangedPersona))
        with transaction.atomic():
            Project.objects.select_for_update().get(pk=self.project.pk)  # as every edit does, so that one waits here
            persona = self.persona(slug)
            require_match(request, _etag(persona))
            persona = services.update_persona(persona=persona, changes=changes, actor=actor_of(request))
        return Response(self.shown(persona), headers={"ETag": _etag(persona)})

    @extend_schema(operation_id="personas_delete", responses={204: None})
    def delete(self, request: Request, project: str, slug: str) -> Response:
        services.delete_persona(persona=self.persona(slug), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Members(ProjectView):
    """`/api/projects/{project}/personas/{slug}/members`"""

    scopes = {"GET": READ}

    @extend_schema(
        operation_id="personas_members",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, project: str, slug: str) -> Response:
        persona = self.persona(slug)
        cursor = request.query_params.get("cursor", "")
        after = reading.page_from(cursor) if cursor else 0
        if after is None:
            raise Problem(400, "request.cursor_invalid", "cursor: use the value of `next` of the page before.")
        # The head before the list: what changes meanwhile is in the log after it, so that both make a complete copy.
        _, head = log.bounds(self.project.pk)
        members, last = reading.members(persona=persona, after=after, limit=number(request, "limit", PAGE, 1, MOST))
        return Response(
            {"results": [msgspec.to_builtins(one) for one in members], "next": reading.page_token(last), "head": head}
        )


class ProfileDetail(ProjectView):
    """`/api/projects/{project}/profiles/{u_... or a userId}`, or `/profiles?user_id=` / `?anonymous_id=`"""

    scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="profiles_get",
        parameters=[OpenApiParameter("user_id", str), OpenApiParameter("anonymous_id", str)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, project: str, reference: str = "") -> Response:
        profile = self.profile(reference) if reference else self._asked(request)
        external = reading.external_ids(self.project.pk, [profile.pk])
        personas = reading.belongings(project=self.project, profile_id=profile.pk)
        return Response(
            {
                "profile": profile.public_id,
                "external_ids": external.get(profile.pk, []),
                "traits": profile.traits,
                "first_seen": rfc3339(profile.first_seen),
                "last_seen": rfc3339(profile.last_seen),
                "personas": [msgspec.to_builtins(one) for one in personas],
            }
        )

    def _asked(self, request: Request) -> Profile:
        for parameter, kind in (("user_id", Alias.Kind.USER), ("anonymous_id", Alias.Kind.ANONYMOUS)):
            if given := request.query_params.get(parameter):
                found = reading.profile_by(self.project, reference=given, kind=kind)
                if found is None:
                    raise no_such_thing()
                return found
        raise Problem(400, "request.parameter_missing", "Say which profile: ?user_id= or ?anonymous_id=.")


class Changes(ProjectView):
    """`/api/projects/{project}/changes?after=`: the log that the stream sends, with the same numbers."""

    scopes = {"GET": "changes:read"}

    @extend_schema(
        operation_id="changes_list",
        parameters=[
            OpenApiParameter("after", int),
            OpenApiParameter("persona", str, many=True),
            OpenApiParameter("profile", str),
            OpenApiParameter("limit", int),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, project: str) -> Response:
        limit = number(request, "limit", PAGE, 1, MOST)
        after = number(request, "after", 0, 0, 2**62)
        reference = request.query_params.get("profile")
        profile_id = None if reference is None else self.profile(reference).pk
        oldest, head = log.bounds(self.project.pk)
        wanted = request.query_params.getlist("persona")
        personas = [self.persona(slug).pk for slug in wanted] if wanted else None
        rows = log.after(self.project.pk, after, personas, limit, profile_id)
        # Fewer rows than asked for: there was nothing else up to the head as it stood before they were read.
        following = rows[-1].seq if len(rows) == limit else max([head, *(row.seq for row in rows)])
        return Response(
            {"results": [change_shown(row) for row in rows], "next": following, "head": head, "oldest": oldest}
        )


def _etag(persona: Persona) -> str:
    """The same as long as nobody edits it; progress and size are no edits."""
    return etag(persona.pk, persona.version, persona.name, persona.updated_at.isoformat())


def shown(project: Project, personas: Iterable[Persona]) -> list[dict[str, Any]]:
    """Personas of one project as the API shows them, in a constant number of queries."""
    mark = watermark.of_project(project.pk)
    sizes = reading.sizes(project.pk)
    progress = reading.progress(project.pk)
    warned = warnings.of_project(project.pk)
    return [
        {
            "slug": persona.slug,
            "name": persona.name,
            "rule": persona.rule,
            "version": persona.version,
            "status": persona.status,
            "progress": progress.get(persona.pk, 1.0),
            "size": sizes.get(persona.pk, 0),
            "warnings": [warning_shown(one) for one in warned.get(persona.pk, [])],
            "evaluated_through": rfc3339(mark.evaluated_through),
            "lag_ms": mark.lag_ms,
            "created_at": rfc3339(milliseconds(persona.created_at)),
            "updated_at": rfc3339(milliseconds(persona.updated_at)),
        }
        for persona in personas
    ]


def warning_shown(warned: warnings.Warned) -> dict[str, Any]:
    """A warning on a persona as the API shows it."""
    return {**warned._asdict(), "since": rfc3339(warned.since), "latest": rfc3339(warned.latest)}


def change_shown(row: log.LogRow) -> dict[str, Any]:
    """A row of the log as the API shows it."""
    return {
        "seq": row.seq,
        "profile": row.profile,
        "persona": row.persona,
        "op": row.op,
        "at": rfc3339(row.at),
        "cause": row.cause,
        "version": row.version,
        "trigger": row.trigger and f"e_{row.trigger}",
        "late_ms": row.late_ms,
    }


def body_as(request: Request, shape: type[Shape]) -> Shape:
    """The request's JSON as `shape`. Raises Problem 400 request.invalid that names the field."""
    if b"\\u0000" in msgspec.json.encode(request.data):
        raise Problem(400, "request.null_character", "U+0000 cannot be stored; leave it out.")
    try:
        return msgspec.convert(request.data, shape)
    except msgspec.ValidationError as error:
        raise Problem(400, "request.invalid", f"{error}.") from None


def number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number of the query. Raises Problem 400 request.parameter_invalid."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 19 or not least <= int(given) <= most:
        raise Problem(400, "request.parameter_invalid", f"{name}: a whole number from {least} to {most} is needed.")
    return int(given)
