"""The doors of the other products' wires: which address reads which dialect. The same through raw ASGI and Django."""

from functools import partial

from django.http import HttpResponse
from django.urls import URLPattern, re_path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from ingestion import edge
from ingestion.api import DoorView
from ingestion.caller import Headers, Reply
from ingestion.dialects import Dialect, productgraph, segment, segops
from ingestion.door import Door
from keys.auth import credential

SEGMENT = {wire.kind: wire for wire in segment.WIRES}
# The short forms are what the browser library sends.
SEGMENT_PATHS = {
    **{f"/v1/{kind}": SEGMENT[kind] for kind in segment.KINDS},
    **{f"/v1/{kind[0]}": SEGMENT[kind] for kind in segment.KINDS},
    **{f"/v1/{name}": SEGMENT[None] for name in ("batch", "import", "b")},
}


def keyed_in_the_body(dialect: Dialect, headers: Headers, body: bytes) -> Reply:
    """As `edge.accept`, for a wire whose clients may write their key into the body instead. (Not a compressed one.)"""
    key = None if credential(headers) else segment.write_key(body)
    return edge.accept(dialect, {**headers, "authorization": f"Bearer {key}"} if key else headers, body)


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
    **{path: _door(wire, keyed=True) for path, wire in SEGMENT_PATHS.items()},
    "/api/ingestion/track": _door(segops.SINGLE),
    "/api/ingestion/track/batch": _door(segops.BATCH),
}


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


urlpatterns = [_route(path, door) for path, door in DOORS.items()]
