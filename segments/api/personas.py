"""The management API of personas and the change log. Views read, call one function, answer."""

from collections.abc import Sequence

import msgspec
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from ingestion.models import Alias, Profile
from keys.api import views
from keys.api.access import actor_of
from keys.api.idempotency import idempotent
from keys.api.views import body_as, next_page, page_from, paged, whole_number
from keys.models import Project
from keys.preconditions import etag, require_match
from persona.lib.problems import Problem, no_such_thing
from segments import log, services, shapes
from segments.insight import reading
from segments.models import Persona

PAGE, MOST = 100, 1_000
READ, WRITE = "personas:read", "personas:write"
LARGEST = 2**62
AFTER = OpenApiParameter("after", {"type": "integer", "minimum": 0, "maximum": LARGEST, "default": 0})
LIMIT = paged(MOST, PAGE)[-1]


class ProjectView(views.ProjectView):
    """A view of one project that finds personas and profiles. All raise the 404."""

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

    def shown(self, persona: Persona, code: int = status.HTTP_200_OK, **headers: str) -> Response:
        (found,) = shapes.personas_shown(self.project, [persona])
        return Response(msgspec.to_builtins(found), status=code, headers={"ETag": _etag(persona), **headers})

    def changes(self, request: Request, *, personas: Sequence[int] | None, profile: int | None) -> Response:
        """A page of the log, of those personas and that profile alone where they are given."""
        limit, after = whole_number(request, "limit", PAGE, 1, MOST), whole_number(request, "after", 0, 0, LARGEST)
        oldest, head = log.bounds(self.project.pk)
        rows = log.after(self.project.pk, after, personas, limit, profile)
        # Fewer rows than asked for: there was nothing else up to the head as it stood before they were read.
        following = rows[-1].seq if len(rows) == limit else max([head, *(row.seq for row in rows)])
        page = shapes.ChangePage([shapes.change_shown(row) for row in rows], following, head, oldest)
        return Response(msgspec.to_builtins(page))


class Personas(ProjectView):
    """`/api/projects/{project}/personas`"""

    scopes = {"GET": READ, "POST": WRITE}

    @extend_schema(operation_id="personas_list", responses=shapes.PersonaPage)
    def get(self, request: Request, project: str) -> Response:
        found = list(Persona.objects.filter(project=self.project, deleted_at=None).order_by("slug"))
        return Response(msgspec.to_builtins(shapes.PersonaPage(shapes.personas_shown(self.project, found))))

    @extend_schema(operation_id="personas_create", request=shapes.NewPersona, responses={201: shapes.PersonaShown})
    def post(self, request: Request, project: str) -> Response:
        new = body_as(request, shapes.NewPersona)
        services.let_leave(self.project, new.slug)  # may take a while: before anything is locked
        return self.made(request, new)

    @idempotent
    def made(self, request: Request, new: shapes.NewPersona) -> Response:
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
        return self.shown(persona, status.HTTP_201_CREATED, Location=location)


class PersonaDetail(ProjectView):
    """`/api/projects/{project}/personas/{slug}`"""

    scopes = {"GET": READ, "PUT": WRITE, "PATCH": WRITE, "DELETE": WRITE}

    def locked(self, slug: str) -> Persona:
        """As it is once nobody else edits any: every edit locks the project, so that one waits here."""
        Project.objects.select_for_update().get(pk=self.project.pk)
        return self.persona(slug)

    @extend_schema(operation_id="personas_get", responses=shapes.PersonaShown)
    def get(self, request: Request, project: str, slug: str) -> Response:
        return self.shown(self.persona(slug))

    @extend_schema(operation_id="personas_change", request=shapes.ChangedPersona, responses=shapes.PersonaShown)
    def patch(self, request: Request, project: str, slug: str) -> Response:
        return self.changed(request, slug, body_as(request, shapes.ChangedPersona))

    @extend_schema(operation_id="personas_replace", request=shapes.WholePersona, responses=shapes.PersonaShown)
    def put(self, request: Request, project: str, slug: str) -> Response:
        whole = body_as(request, shapes.WholePersona)
        if whole.slug not in (slug, msgspec.UNSET):
            raise Problem(400, "request.invalid", f"slug: it never changes; this persona is {slug!r}.")
        return self.changed(request, slug, shapes.replaced(whole))

    def changed(self, request: Request, slug: str, wanted: shapes.ChangedPersona) -> Response:
        with transaction.atomic():
            persona = self.locked(slug)
            require_match(request, _etag(persona))
            changes = msgspec.to_builtins(wanted)
            persona = services.update_persona(persona=persona, changes=changes, actor=actor_of(request))
        return self.shown(persona)

    @extend_schema(operation_id="personas_delete", responses={204: None})
    def delete(self, request: Request, project: str, slug: str) -> Response:
        with transaction.atomic():
            persona = self.locked(slug)
            require_match(request, _etag(persona))
            services.delete_persona(persona=persona, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Members(ProjectView):
    """`/api/projects/{project}/personas/{slug}/members`"""

    scopes = {"GET": READ}

    @extend_schema(operation_id="personas_members", parameters=paged(MOST, PAGE), responses=shapes.MemberPage)
    def get(self, request: Request, project: str, slug: str) -> Response:
        persona = self.persona(slug)
        after, limit = page_from(request) or 0, whole_number(request, "limit", PAGE, 1, MOST)
        # The head before the list: what changes meanwhile is in the log after it, so that both make a complete copy.
        _, head = log.bounds(self.project.pk)
        members, last = reading.members(persona=persona, after=after, limit=limit)
        return Response(msgspec.to_builtins(shapes.MemberPage(members, next_page(request, last), head)))


class Changes(ProjectView):
    """`/api/projects/{project}/changes?after=`: the log that the stream sends, with the same numbers."""

    scopes = {"GET": "changes:read"}

    @extend_schema(
        operation_id="changes_list",
        parameters=[AFTER, OpenApiParameter("persona", str, many=True), OpenApiParameter("profile", str), LIMIT],
        responses=shapes.ChangePage,
    )
    def get(self, request: Request, project: str) -> Response:
        reference = request.query_params.get("profile")
        profile = None if reference is None else self.profile(reference).pk
        return self.changes(request, personas=self.told_of(request), profile=profile)

    def told_of(self, request: Request) -> list[int] | None:
        """Of a slug all that ever had it: whoever follows a persona hears that everybody leaves when it is deleted."""
        wanted = set(request.query_params.getlist("persona"))
        found = Persona.objects.filter(project=self.project, slug__in=wanted).values_list("slug", "pk")
        if wanted != {slug for slug, _ in found}:
            raise no_such_thing()
        return [pk for _, pk in found] or None


def _etag(persona: Persona) -> str:
    """The same as long as nobody edits it; progress and size are no edits."""
    return etag(persona.pk, persona.version, persona.name, persona.updated_at.isoformat())
