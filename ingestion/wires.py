"""The doors of the other products' wires: which address reads which dialect. The same through raw ASGI and Django."""

from collections.abc import Callable
from functools import partial

from django.http import HttpResponse
from django.urls import URLPattern, re_path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from ingestion.accepting import browser, edge, webhooks
from ingestion.accepting.caller import Headers, Reply
from ingestion.accepting.door import Door
from ingestion.accepting.handshake import HANDSHAKE
from ingestion.api import stats
from ingestion.api.ingest import DoorView
from ingestion.dialects import Dialect, productgraph, segment, segops
from keys.auth import credential
from persona.lib import wire
from persona.lib.problems import Problem
from persona.lib.wire import Answer, problem_answer

BEACON_BYTES = 256 * 1024  # browsers send 64 KB at most as a page closes
SEGMENT = {one.kind: one for one in segment.WIRES}
# The short forms are what the browser library sends.
SEGMENT_PATHS = {
    **{f"/v1/{kind}": SEGMENT[kind] for kind in segment.KINDS},
    **{f"/v1/{kind[0]}": SEGMENT[kind] for kind in segment.KINDS},
    **{f"/v1/{name}": SEGMENT[None] for name in ("batch", "import", "b")},
}


def keyed_in_the_body(dialect: Dialect, headers: Headers, body: bytes) -> Reply:
    """As `edge.accept`, for a wire whose clients may write their key into the body instead."""
    key = None if credential(headers) else segment.write_key(_shown(headers, body))
    return edge.accept(dialect, {**headers, "authorization": f"Bearer {key}"} if key else headers, body)


def _shown(headers: Headers, body: bytes) -> bytes:
    """The body as it is read for a key: what is compressed is opened as far as a beacon may be long, for a stranger."""
    encoding = headers.get("content-encoding")
    try:
        return wire.inflate(body, encoding, BEACON_BYTES) if encoding else body
    except (wire.TooLarge, Problem):
        return b""


def _door(dialect: Dialect, *, keyed: bool = False) -> Door:
    return Door(
        methods=("POST",),
        behind=partial(keyed_in_the_body if keyed else edge.accept, dialect),
        refused=dialect.refused,
        body_bytes=dialect.LIMITS.body_bytes,
        too_large=partial(edge.too_large, dialect),
    )


DOORS: dict[str, Door] = {
    "/v1/events": _door(productgraph),
    **{path: _door(one, keyed=True) for path, one in SEGMENT_PATHS.items()},
    "/api/ingestion/track": _door(segops.SINGLE),
    "/api/ingestion/track/batch": _door(segops.BATCH),
}

REFUSALS: dict[str, Callable[[Problem], Answer]] = {
    "/v1/events": productgraph.refused,
    **dict.fromkeys((*SEGMENT_PATHS, "/v1/projects"), segment.refused),
    "/api/ingestion": segops.refused,
    "/api/auth": segops.refused,
}


def refused_at(path: str) -> Callable[[Problem], Answer]:
    """How a problem is said at `path` and below it: by its wire, else as a problem document."""
    for beginning, refused in REFUSALS.items():
        if path.startswith(beginning) and path[len(beginning) : len(beginning) + 1] in ("", "/"):
            return refused
    return problem_answer


def _route(path: str, door: Door) -> URLPattern:
    """With and without the trailing slash: a redirect would lose the body."""
    way_in = door

    @extend_schema(tags=["wires"], exclude=len(path) == len("/v1/x"))
    class WireView(DoorView):
        """Events in the format of another product."""

        door = way_in

        @extend_schema(
            operation_id=path.strip("/").replace("/", "_"),
            request=OpenApiTypes.OBJECT,
            responses={200: OpenApiTypes.OBJECT, 202: OpenApiTypes.OBJECT},
        )
        def post(self, request: Request) -> HttpResponse:
            return self.through(request)

    return re_path(rf"^{path.lstrip('/')}/?$", WireView.as_view())


@extend_schema(tags=["wires"])
class HandshakeView(DoorView):
    """Make a session token for a browser with a publishable key."""

    door = HANDSHAKE

    @extend_schema(operation_id="session", request=OpenApiTypes.OBJECT, responses={200: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> HttpResponse:
        return self.through(request)


@extend_schema(tags=["wires"])
class ShopifyView(DoorView):
    """Take a webhook of Shopify."""

    door = webhooks.door_of("")  # of no project; what is done before anybody knows which

    @extend_schema(operation_id="shopify", request=OpenApiTypes.OBJECT, responses={200: OpenApiTypes.OBJECT})
    def post(self, request: Request, slug: str) -> HttpResponse:
        self.door = webhooks.door_of(slug)  # type: ignore[misc]  # of this request alone: a view lives for one
        return self.through(request)


@extend_schema(tags=["wires"])
class SettingsView(DoorView):
    """What Segment's browser library asks for first."""

    door = browser.door_of("", "")

    @extend_schema(operation_id="segment_settings", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, key: str) -> HttpResponse:
        self.door = browser.door_of(key, f"{request.scheme}://{request.get_host()}")  # type: ignore[misc]  # as above
        return self.through(request)


urlpatterns = [
    *(_route(path, door) for path, door in DOORS.items()),
    re_path(r"^api/auth/session/?$", HandshakeView.as_view()),
    re_path(r"^api/ingestion/shopify/(?P<slug>[^/]+)/?$", ShopifyView.as_view()),
    re_path(r"^api/ingestion/stats/?$", stats.StatsView.as_view()),
    re_path(r"^api/ingestion/errors/?$", stats.ErrorsView.as_view()),
    re_path(r"^v1/projects/(?P<key>[^/]+)/settings/?$", SettingsView.as_view()),
]
