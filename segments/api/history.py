"""The management API of what a persona was and with whom it shares members: versions, overlap."""

import msgspec
from django.db import connection
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.api.views import next_page, page_from, paged, whole_number
from persona.lib.clock import milliseconds, rfc3339
from segments.api.personas import READ, ProjectView
from segments.models import PersonaVersion
from segments.shapes import ShownRule

PAGE, MOST = 20, 100

# Along the index of members of a persona; the other memberships by their primary key.
SHARED = """
select other.slug, count(*) from segments_membership mine
join segments_membership theirs on theirs.project_id = %(project)s and theirs.profile_id = mine.profile_id
    and theirs.is_member and theirs.persona_id <> mine.persona_id
join segments_persona other on other.project_id = %(project)s and other.id = theirs.persona_id
    and other.deleted_at is null
where mine.project_id = %(project)s and mine.persona_id = %(persona)s and mine.is_member
group by other.slug order by count(*) desc, other.slug
"""
SIZE = """
select count(*) from segments_membership where project_id = %s and persona_id = %s and is_member
"""


class VersionShown(msgspec.Struct):
    """A rule as it was saved, by whom and when."""

    version: int
    rule: ShownRule
    author: str
    at: str


class VersionPage(msgspec.Struct):
    """Newest first."""

    results: list[VersionShown]
    next: str | None


class Shared(msgspec.Struct):
    """How many members another persona shares with this one."""

    persona: str
    members: int


class Overlap(msgspec.Struct):
    """size: members of this persona; results: the most shared first."""

    size: int
    results: list[Shared]


class Versions(ProjectView):
    """`/api/projects/{project}/personas/{slug}/versions`"""

    scopes = {"GET": READ}

    @extend_schema(
        operation_id="personas_versions",
        parameters=[*paged(MOST, PAGE)],
        responses=VersionPage,
    )
    def get(self, request: Request, project: str, slug: str) -> Response:
        persona = self.persona(slug)
        limit, before = whole_number(request, "limit", PAGE, 1, MOST), page_from(request)
        rows = PersonaVersion.objects.filter(persona=persona).order_by("-version")
        page = list((rows if before is None else rows.filter(version__lt=before))[: limit + 1])
        results = [
            VersionShown(row.version, row.rule, row.author, rfc3339(milliseconds(row.at))) for row in page[:limit]
        ]
        token = next_page(request, page[limit - 1].version if len(page) > limit else None)
        return Response(msgspec.to_builtins(VersionPage(results, token)))


class Overlaps(ProjectView):
    """`/api/projects/{project}/personas/{slug}/overlap`"""

    scopes = {"GET": READ}

    @extend_schema(operation_id="personas_overlap", responses=Overlap)
    def get(self, request: Request, project: str, slug: str) -> Response:
        persona = self.persona(slug)
        with connection.cursor() as cursor:
            cursor.execute(SIZE, [self.project.pk, persona.pk])
            (size,) = cursor.fetchone()
            cursor.execute(SHARED, {"project": self.project.pk, "persona": persona.pk})
            results = [Shared(other, members) for other, members in cursor.fetchall()]
        return Response(msgspec.to_builtins(Overlap(size, results)))
