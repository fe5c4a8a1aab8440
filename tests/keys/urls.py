"""A view as the management API has them, with the defaults of REST_FRAMEWORK."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from keys.api.access import actor_of, project_of


class Things(APIView):
    scopes = {"GET": "personas:read", "POST": "personas:write"}

    def get(self, request: Request, **_: str) -> Response:
        return Response({"project": project_of(request, self).slug})

    def post(self, request: Request, **_: str) -> Response:
        return Response({"actor": str(actor_of(request))}, status=201)

    def delete(self, request: Request, **_: str) -> Response:
        return Response(status=204)


urlpatterns = [
    path("api/projects/<slug:project>/things", Things.as_view()),
    path("api/things", Things.as_view()),
]
