"""The management API of single profiles: who they are, what they did, what they entered and left."""

import re
from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ingestion import profile_events
from ingestion.events import ID_LENGTH
from ingestion.models import Alias, Profile
from keys.api.views import bad_cursor, whole_number
from persona.lib.clock import rfc3339
from persona.lib.problems import Problem, no_such_thing
from segments import shapes
from segments.api.personas import AFTER, LIMIT, MOST, PAGE, ProjectView
from segments.insight import reading

READ = "profiles:read"
KINDS = {"user_id": Alias.Kind.USER, "anonymous_id": Alias.Kind.ANONYMOUS}
PLACE = re.compile("e(-?[0-9]{1,16})-([0-9a-f]{32})")  # the cursor of events: instant and id of the last one
EVENTS_CURSOR = OpenApiParameter("cursor", {"type": "string", "pattern": f"^({PLACE.pattern})?$"})


class EventShown(msgspec.Struct):
    """An event of a profile. at: when it happened; received_at: when it came."""

    id: str
    event: str
    at: str
    received_at: str
    properties: dict[str, Any]
    context: dict[str, Any] | None


class EventPage(msgspec.Struct):
    """A page of events, the latest received first."""

    results: list[EventShown]
    next: str | None


class ProfileView(ProjectView):
    """A view that shows a profile."""

    scopes = {"GET": READ}

    def answer(self, profile: Profile) -> Response:
        external = reading.external_ids(self.project.pk, [profile.pk])
        found = shapes.ProfileShown(
            profile=profile.public_id,
            external_ids=external.get(profile.pk, []),
            traits=profile.traits,
            first_seen=rfc3339(profile.first_seen),
            last_seen=rfc3339(profile.last_seen),
            personas=reading.belongings(project=self.project, profile_id=profile.pk),
        )
        return Response(msgspec.to_builtins(found))


class ProfileDetail(ProfileView):
    """`/api/projects/{project}/profiles/{u_... or a userId}`"""

    @extend_schema(operation_id="profiles_get", responses=shapes.ProfileShown)
    def get(self, request: Request, project: str, reference: str) -> Response:
        try:
            return self.answer(self.profile(reference))
        except Problem:
            if not reference.endswith("/"):
                raise
        return self.answer(self.profile(reference[:-1]))


class ProfileFound(ProfileView):
    """`/api/projects/{project}/profiles?user_id=` or `?anonymous_id=`"""

    @extend_schema(
        operation_id="profiles_find",
        parameters=[OpenApiParameter("user_id", str), OpenApiParameter("anonymous_id", str)],
        responses=shapes.ProfileShown,
    )
    def get(self, request: Request, project: str) -> Response:
        given = [(name, request.query_params[name]) for name in KINDS if name in request.query_params]
        if len(given) != 1 or not given[0][1]:
            raise Problem(400, "request.parameter_missing", "Say which profile: ?user_id= or ?anonymous_id=.")
        ((name, value),) = given
        if len(value) > ID_LENGTH:
            raise Problem(400, "request.parameter_invalid", f"{name}: at most {ID_LENGTH} characters.")
        found = reading.profile_by(self.project, reference=value, kind=KINDS[name])
        if found is None:
            raise no_such_thing()
        return self.answer(found)


class History(ProjectView):
    """`/api/projects/{project}/profiles/{reference}/history`: its rows of the change log, with the log's numbers."""

    scopes = {"GET": READ}

    @extend_schema(operation_id="profiles_history", parameters=[AFTER, LIMIT], responses=shapes.ChangePage)
    def get(self, request: Request, project: str, reference: str) -> Response:
        return self.changes(request, personas=None, profile=self.profile(reference).pk)


class Events(ProjectView):
    """`/api/projects/{project}/profiles/{reference}/events`"""

    scopes = {"GET": READ}

    @extend_schema(operation_id="profiles_events", parameters=[EVENTS_CURSOR, LIMIT], responses=EventPage)
    def get(self, request: Request, project: str, reference: str) -> Response:
        limit = whole_number(request, "limit", PAGE, 1, MOST)
        rows = profile_events.before(self.project.pk, self.profile(reference).pk, _place(request), limit + 1)
        shown = [
            EventShown(f"e_{row.uid}", row.name, rfc3339(row.ts), rfc3339(row.received_at), row.props, row.context)
            for row in rows[:limit]
        ]
        following = _cursor(rows[limit - 1]) if len(rows) > limit else None
        return Response(msgspec.to_builtins(EventPage(shown, following)))


def _cursor(row: profile_events.Happened) -> str:
    return f"e{row.ts}-{row.uid}"


def _place(request: Request) -> tuple[int, str] | None:
    given = request.query_params.get("cursor", "")
    if not given:
        return None
    found = PLACE.fullmatch(given)
    if found is None:
        raise bad_cursor()
    return int(found[1]), found[2]
