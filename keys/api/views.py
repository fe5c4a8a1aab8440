"""What views of the management API share: the project they are about, bodies, and the parameters of a page."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from django.contrib.auth.models import User
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from keys.api import bodies
from keys.api.access import project_of
from keys.auth import Principal
from keys.limits.buckets import Verdict
from keys.limits.charging import charge_request
from keys.models import Project
from persona.lib import paging
from persona.lib.problems import Problem

Shape = TypeVar("Shape")

CURSOR = OpenApiParameter("cursor", {"type": "string"}, description="`next` of the page before")


class PacedView(APIView):
    """A view whose callers have so many requests a second. Whoever shows no good key is turned away uncharged."""

    _verdict: Verdict | None = None

    def perform_authentication(self, request: Request) -> None:
        """Charged as soon as it is known who calls: a refusal costs as much as an answer."""
        super().perform_authentication(request)
        caller = caller_of(request)
        if caller is None:
            return
        self._verdict = charge_request(caller)
        problem = self._verdict.problem("requests than this caller may make")
        if problem is not None:
            raise problem

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Every answer says what is left."""
        for name, value in self._verdict.headers() if self._verdict is not None else ():
            response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)


class ProjectView(PacedView):
    """A view of one project; access is checked by the permission class, scopes by method."""

    scopes: Mapping[str, str] = {}

    @cached_property
    def project(self) -> Project:
        """Looked up once a request."""
        return project_of(self.request, self)


def caller_of(request: Request) -> str | None:
    """Whose requests these are: `key:3`, `person:5`. None: nobody's that is known."""
    if isinstance(request.auth, Principal):
        return f"key:{request.auth.key_id}"
    return f"person:{request.user.pk}" if isinstance(request.user, User) else None


def whole_number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number of the query. Raises Problem 400 request.parameter_invalid."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 19 or not least <= int(given) <= most:
        raise Problem(400, "request.parameter_invalid", f"{name}: a whole number from {least} to {most} is needed.")
    return int(given)


def body_as(request: Request, shape: type[Shape]) -> Shape:
    """The request's JSON as `shape`. Raises Problem 400 request.invalid that names the field, and what `check` does."""
    bodies.check(request.data)
    try:
        return msgspec.convert(request.data, shape)
    except msgspec.ValidationError as error:
        raise Problem(400, "request.invalid", f"{error}.") from None


def page_from(request: Request) -> int | None:
    """The row of the `cursor` in the query, None without one. Raises Problem 400 request.cursor_invalid, also for the
    cursor of another list."""
    given = request.query_params.get("cursor", "")
    if not given:
        return None
    row = paging.row_of(given, request.path)
    if row is None:
        raise bad_cursor()
    return row


def next_page(request: Request, row: int | None) -> str | None:
    """The cursor of the page after the one that ends with `row`; None: that was the last one."""
    return paging.token(row, request.path)


def bad_cursor() -> Problem:
    return Problem(400, "request.cursor_invalid", "cursor: use the value of `next` of the page before.")


def paged(most: int, usual: int) -> list[OpenApiParameter]:
    """`cursor` and `limit` as the OpenAPI document shows them."""
    return [CURSOR, OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": most, "default": usual})]
