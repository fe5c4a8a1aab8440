"""The management API of the delivery log: what was sent, what was answered, what waits, and dead letters."""

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from delivery import again, reading, shapes
from delivery.api.destinations import READ, WRITE
from keys.api.access import actor_of
from keys.api.idempotency import idempotent
from keys.api.views import ProjectView, next_page, page_from, paged, whole_number

PAGE, MOST = 50, 500
FILTERS = ("destination", "status", "profile", "persona")


class Deliveries(ProjectView):
    """`/api/projects/{project}/deliveries`"""

    scopes = {"GET": READ}

    @extend_schema(
        operation_id="deliveries_list",
        parameters=[
            OpenApiParameter("destination", str),
            OpenApiParameter("status", str, enum=["waiting", "delivered", "dead"]),
            OpenApiParameter("profile", str),
            OpenApiParameter("persona", str),
            *paged(MOST, PAGE),
        ],
        responses=shapes.DeliveryPage,
    )
    def get(self, request: Request, project: str) -> Response:
        limit = whole_number(request, "limit", PAGE, 1, MOST)
        before = page_from(request)
        rows = reading.deliveries(self.project, **{name: request.query_params.get(name, "") for name in FILTERS})
        page = list((rows if before is None else rows.filter(id__lt=before))[: limit + 1])
        names = reading.names_of(self.project, page)
        results = [shapes.delivery_shown(one, names.get(one.destination_id, "")) for one in page[:limit]]
        token = next_page(request, page[limit - 1].pk if len(page) > limit else None)
        return Response(msgspec.to_builtins(shapes.DeliveryPage(results, token)))


class DeliveryDetail(ProjectView):
    """`/api/projects/{project}/deliveries/{id}`"""

    scopes = {"GET": READ}

    @extend_schema(operation_id="deliveries_get", responses=shapes.DeliveryWhole)
    def get(self, request: Request, project: str, delivery: str) -> Response:
        found = reading.delivery_of(self.project, delivery)
        names = reading.names_of(self.project, [found])
        return Response(msgspec.to_builtins(shapes.delivery_whole(found, names.get(found.destination_id, ""))))


class Redeliver(ProjectView):
    """`/api/projects/{project}/deliveries/{id}/redeliver`"""

    scopes = {"POST": WRITE}

    @extend_schema(operation_id="deliveries_redeliver", request=None, responses={202: shapes.Redelivering})
    @idempotent
    def post(self, request: Request, project: str, delivery: str) -> Response:
        found = reading.delivery_of(self.project, delivery)
        again.redeliver_one(project=self.project, attempt=found, actor=actor_of(request))
        return Response(msgspec.to_builtins(shapes.Redelivering(1)), status=status.HTTP_202_ACCEPTED)
