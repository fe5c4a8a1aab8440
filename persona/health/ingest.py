"""`GET /api/ingestion/health/`: SegOps' three words, each found out and not just said, beside our own."""

import msgspec
from django.conf import settings
from django.db import Error
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from ingestion import heartbeat
from ingestion.accepting.caller import Headers
from ingestion.accepting.door import Door
from ingestion.api.ingest import DoorView
from ingestion.dialects import segops
from persona.health import readiness
from persona.health.readiness import Readiness
from persona.lib.wire import Answer

OK = "ok"
SILENT_MS = 15_000  # beat asks every second; a worker may have a long turn


def health(_: Headers, __: bytes) -> Answer:
    """200 when all is well, else 503; takes a second or two. For threads."""
    found = readiness.check()
    queue, worker, store = _queue(found), _worker(found), _store(found)
    document = {
        "pubsub_topic": queue, "worker": worker, "clickhouse": store,
        "queue": queue, "event_store": store, "lag_ms": found.lag_ms,
    }  # fmt: skip
    status = 200 if queue == worker == store == OK else 503
    headers = (("cache-control", "no-store"), *((("retry-after", "5"),) if status != 200 else ()))
    return Answer(status, msgspec.json.encode(document), headers=headers)


def _queue(found: Readiness) -> str:
    """Events get in, and do not wait for too long."""
    if {"queue", "inbox"} & set(found.missing):
        return "unreachable"
    return OK if (found.lag_ms or 0) <= settings.PERSONA_HEALTH_LAG * 1_000 else "late"


def _worker(found: Readiness) -> str:
    if "database" in found.missing:
        return "unknown"
    try:
        silent = heartbeat.age(heartbeat.WORKER)
    except Error:
        return "unknown"
    return OK if silent is not None and silent <= SILENT_MS else "stopped"


def _store(found: Readiness) -> str:
    return "unreachable" if "database" in found.missing else OK


HEALTH = Door(methods=("GET", "HEAD"), behind=health, refused=segops.refused, keyed=False)


@extend_schema(tags=["wires"])
class IngestHealthView(DoorView):
    """Whether events get in, are applied and stored."""

    door = HEALTH

    @extend_schema(operation_id="ingest_health", responses={200: OpenApiTypes.OBJECT, 503: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> HttpResponse:
        return self.through(request)

    head = get
