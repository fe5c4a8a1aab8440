"""The management API of a project's keys. Nobody gets more through it than they have."""

from collections.abc import Iterable

import msgspec
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from keys import refusals, services, shapes
from keys.api.access import actor_of
from keys.api.idempotency import idempotent
from keys.api.views import ProjectView, body_as, next_page, page_from, paged, whole_number
from keys.auth import Principal
from keys.models import ApiKey
from keys.permits import require_scope
from keys.refusals import refusal
from keys.spans import parse_span
from persona.lib.problems import Problem, no_such_thing

READ, WRITE = "keys:read", "keys:write"
PAGE, MOST = 100, 500


class KeyView(ProjectView):
    """A view of one key or all."""

    def key(self, lookup: str) -> ApiKey:
        found = ApiKey.objects.select_related("project", "replaced_by").filter(project=self.project, lookup=lookup)
        key = found.first()
        if key is None:
            raise no_such_thing()
        return key


class Keys(KeyView):
    """`/api/projects/{project}/keys`"""

    scopes = {"GET": READ, "POST": WRITE}

    @extend_schema(operation_id="keys_list", parameters=paged(MOST, PAGE), responses=shapes.KeyPage)
    def get(self, request: Request, project: str) -> Response:
        limit, before = whole_number(request, "limit", PAGE, 1, MOST), page_from(request)
        rows = ApiKey.objects.select_related("replaced_by").filter(project=self.project).order_by("-id")
        page = list((rows if before is None else rows.filter(id__lt=before))[: limit + 1])
        token = next_page(request, page[limit - 1].pk if len(page) > limit else None)
        return Response(msgspec.to_builtins(shapes.KeyPage([shapes.key_shown(row) for row in page[:limit]], token)))

    @extend_schema(operation_id="keys_create", request=shapes.NewKey, responses={201: shapes.MadeKey})
    @idempotent
    def post(self, request: Request, project: str) -> Response:
        new = body_as(request, shapes.NewKey)
        _require_own(request, new.kind, new.scopes)
        span = parse_span(new.expires_in) if new.expires_in else None
        if new.expires_in and not span:
            raise Problem(400, "key.invalid", "expires_in: a span of time such as 24h or 90d.")
        key, secret = services.issue_key(
            project=self.project,
            kind=new.kind,
            name=new.name,
            origins=new.origins,
            scopes=new.scopes,
            expires_at=timezone.now() + span if span else None,
            actor=actor_of(request),
        )
        return Response(msgspec.to_builtins(shapes.key_made(key, secret)), status=status.HTTP_201_CREATED)


class KeyDetail(KeyView):
    """`/api/projects/{project}/keys/{lookup}`"""

    scopes = {"GET": READ, "DELETE": WRITE}

    @extend_schema(operation_id="keys_get", responses=shapes.KeyShown)
    def get(self, request: Request, project: str, lookup: str) -> Response:
        return Response(msgspec.to_builtins(shapes.key_shown(self.key(lookup))))

    @extend_schema(operation_id="keys_revoke", responses={204: None})
    def delete(self, request: Request, project: str, lookup: str) -> Response:
        services.revoke_key(key=self.key(lookup), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class RotateKey(KeyView):
    """`/api/projects/{project}/keys/{lookup}/rotate`"""

    scopes = {"POST": WRITE}

    @extend_schema(operation_id="keys_rotate", request=shapes.KeyRotation, responses={201: shapes.MadeKey})
    @idempotent
    def post(self, request: Request, project: str, lookup: str) -> Response:
        grace = parse_span(body_as(request, shapes.KeyRotation).grace)
        if grace is None:
            raise Problem(400, "key.invalid", "grace: a span of time such as 24h, or now.")
        old = self.key(lookup)
        _require_own(request, old.kind, old.scopes)
        key, secret = services.rotate_key(key=old, grace=grace, actor=actor_of(request))
        return Response(msgspec.to_builtins(shapes.key_made(key, secret)), status=status.HTTP_201_CREATED)


def _require_own(request: Request, kind: str, scopes: Iterable[str]) -> None:
    """A key that is limited to scopes shows nobody a key that may do more than it. Raises the 403."""
    principal = request.auth
    if not isinstance(principal, Principal) or not principal.scopes or kind == ApiKey.Kind.PUBLISHABLE:
        return
    wanted = list(scopes)
    if not wanted:
        raise refusal(
            refusals.SCOPE, "A key that is limited to scopes can only make keys that are limited to them too."
        )
    for scope in wanted:
        require_scope(principal, scope)
