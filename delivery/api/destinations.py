"""The management API of destinations: where changes and events go."""

from datetime import timedelta

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from delivery import again, reading, services, shapes
from delivery.models import Destination
from keys.api.access import actor_of
from keys.api.idempotency import idempotent
from keys.api.views import ProjectView, body_as
from keys.preconditions import etag, require_match

READ, WRITE = "destinations:read", "destinations:write"


class DestinationView(ProjectView):
    """A view of one destination or all."""

    def destination(self, public_id: str) -> Destination:
        return reading.destination_of(self.project, public_id)

    def shown(self, destination: Destination) -> Response:
        found = shapes.destination_shown(destination, reading.state(destination))
        return Response(msgspec.to_builtins(found), headers={"ETag": _etag(destination)})


class Destinations(DestinationView):
    """`/api/projects/{project}/destinations`"""

    scopes = {"GET": READ, "POST": WRITE}

    @extend_schema(operation_id="destinations_list", responses=shapes.DestinationPage)
    def get(self, request: Request, project: str) -> Response:
        found = list(Destination.objects.filter(project=self.project).order_by("id"))
        states = reading.states(self.project, found)
        results = [shapes.destination_shown(one, states[one.pk]) for one in found if one.pk in states]
        return Response(msgspec.to_builtins(shapes.DestinationPage(results, None)))

    @extend_schema(
        operation_id="destinations_create", request=shapes.NewDestination, responses={201: shapes.MadeDestination}
    )
    @idempotent
    def post(self, request: Request, project: str) -> Response:
        new = body_as(request, shapes.NewDestination)
        made, secret = services.create_destination(
            project=self.project,
            kind=new.kind,
            name=new.name,
            url=new.url,
            personas=new.personas,
            ops=[str(op) for op in new.ops],
            settings=new.settings,
            secret=new.secret,
            actor=actor_of(request),
        )
        shown = shapes.destination_made(made, reading.state(made), None if made.forwards else secret)
        headers = {"Location": f"{request.path.rstrip('/')}/{made.public_id}", "ETag": _etag(made)}
        return Response(msgspec.to_builtins(shown), status=status.HTTP_201_CREATED, headers=headers)


class DestinationDetail(DestinationView):
    """`/api/projects/{project}/destinations/{id}`"""

    scopes = {"GET": READ, "PATCH": WRITE, "DELETE": WRITE}

    @extend_schema(operation_id="destinations_get", responses=shapes.DestinationShown)
    def get(self, request: Request, project: str, destination: str) -> Response:
        return self.shown(self.destination(destination))

    @extend_schema(
        operation_id="destinations_change", request=shapes.ChangedDestination, responses=shapes.DestinationShown
    )
    def patch(self, request: Request, project: str, destination: str) -> Response:
        changes = msgspec.to_builtins(body_as(request, shapes.ChangedDestination))
        changed = services.change_destination(
            destination=self.destination(destination),
            changes=changes,
            actor=actor_of(request),
            check=lambda found: require_match(request, _etag(found)),
        )
        return self.shown(changed)

    @extend_schema(operation_id="destinations_delete", responses={204: None})
    def delete(self, request: Request, project: str, destination: str) -> Response:
        services.delete_destination(
            destination=self.destination(destination),
            actor=actor_of(request),
            check=lambda found: require_match(request, _etag(found)),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class Rotate(DestinationView):
    """`/api/projects/{project}/destinations/{id}/rotate`"""

    scopes = {"POST": WRITE}

    @extend_schema(operation_id="destinations_rotate", request=shapes.Rotation, responses=shapes.Secret)
    @idempotent
    def post(self, request: Request, project: str, destination: str) -> Response:
        found = self.destination(destination)
        grace = timedelta(seconds=body_as(request, shapes.Rotation).grace_seconds)
        secret = services.rotate_secret(destination=found, grace=grace, actor=actor_of(request))
        return Response(msgspec.to_builtins(shapes.Secret(secret)))


class Pause(DestinationView):
    """`/api/projects/{project}/destinations/{id}/pause`"""

    scopes = {"POST": WRITE}

    @extend_schema(operation_id="destinations_pause", request=None, responses=shapes.DestinationShown)
    @idempotent
    def post(self, request: Request, project: str, destination: str) -> Response:
        found = self.destination(destination)
        return self.shown(services.pause_destination(destination=found, actor=actor_of(request)))


class Resume(DestinationView):
    """`/api/projects/{project}/destinations/{id}/resume`"""

    scopes = {"POST": WRITE}

    @extend_schema(operation_id="destinations_resume", request=None, responses=shapes.DestinationShown)
    @idempotent
    def post(self, request: Request, project: str, destination: str) -> Response:
        found = self.destination(destination)
        return self.shown(services.resume_destination(destination=found, actor=actor_of(request)))


class Ping(DestinationView):
    """`/api/projects/{project}/destinations/{id}/ping`"""

    scopes = {"POST": WRITE}

    @extend_schema(operation_id="destinations_ping", request=None, responses=shapes.PingResult)
    @idempotent
    def post(self, request: Request, project: str, destination: str) -> Response:
        answer = services.ping(destination=self.destination(destination), actor=actor_of(request))
        return Response(msgspec.to_builtins(shapes.ping_result(answer)))


class RedeliverRange(DestinationView):
    """`/api/projects/{project}/destinations/{id}/redeliver`"""

    scopes = {"POST": WRITE}

    @extend_schema(operation_id="destinations_redeliver", request=shapes.Range, responses={202: shapes.Redelivering})
    @idempotent
    def post(self, request: Request, project: str, destination: str) -> Response:
        found = self.destination(destination)
        wanted = body_as(request, shapes.Range)
        count = again.redeliver_range(destination=found, first=wanted.first, last=wanted.last, actor=actor_of(request))
        return Response(msgspec.to_builtins(shapes.Redelivering(count)), status=status.HTTP_202_ACCEPTED)


def _etag(destination: Destination) -> str:
    return etag(destination.public_id, destination.version)
