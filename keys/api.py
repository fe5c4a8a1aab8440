"""What views of the management API share: the project they are about, and the parameters of a page."""

from collections.abc import Mapping
from functools import cached_property

from rest_framework.request import Request
from rest_framework.views import APIView

from keys.access import project_of
from keys.models import Project
from persona.lib.problems import Problem


class ProjectView(APIView):
    """A view of one project; access is checked by the permission class, scopes by method."""

    scopes: Mapping[str, str] = {}

    @cached_property
    def project(self) -> Project:
        """Looked up once a request."""
        return project_of(self.request, self)


def whole_number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number of the query. Raises Problem 400 request.parameter_invalid."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 19 or not least <= int(given) <= most:
        raise Problem(400, "request.parameter_invalid", f"{name}: a whole number from {least} to {most} is needed.")
    return int(given)
