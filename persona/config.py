"""GET /api/v2/pipeline/config: how the SDKs of a project should behave. They ask again every `refreshAfter` seconds."""

import hashlib
from collections.abc import Collection
from functools import lru_cache, partial

import msgspec
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from ingestion.accepting.caller import Headers, Reply, for_caller
from ingestion.accepting.door import Door
from ingestion.api.ingest import DoorView
from keys.auth import Principal
from keys.models import ProjectSettings
from persona import flags
from persona.lib.futures import mapped
from persona.lib.wire import Answer, problem_answer

READ_CONFIG = "stream:read"  # the scope
NO_STREAM = "off"


class Encoded(msgspec.Struct, frozen=True):
    """A configuration as it is sent, and its ETag."""

    body: bytes
    etag: str


def config(headers: Headers, body: bytes) -> Reply:
    """The configuration of the caller's project; 304 when the caller has it already."""
    return for_caller(
        headers,
        scope=READ_CONFIG,
        way="config",
        step=partial(_answer, headers.get("if-none-match", "")),
        refused=problem_answer,
    )


def document(options: ProjectSettings, *, streaming: bool, member_of: Collection[str] = ()) -> dict[str, object]:
    """What is sent. flags: the project's own, as they are for a member of those personas, and two that say what the
    server itself does and always win."""
    return {
        "flags": {
            **flags.answered(options, set(member_of)),
            "streaming": streaming,
            "sampleRate": options.sample_rate,
        },
        "flushIntervalMs": options.flush_interval_ms,
        "refreshAfter": options.refresh_after,
        "sampling": msgspec.to_builtins(options.sampling),
        "destinations": options.destinations,
    }


def _answer(known: str, principal: Principal) -> Reply:
    user = principal.session.user_id if principal.session else None
    personal = flags.personal(principal.options) if user else {}
    if user and personal:
        found = flags.look_up(principal.project_id, user, personal)
        return mapped(found, lambda member_of: _sent(known, principal, tuple(sorted(member_of))))
    return _sent(known, principal, ())


def _sent(known: str, principal: Principal, member_of: tuple[str, ...]) -> Answer:
    streaming = principal.kind == "sk" or principal.options.pk_streams != NO_STREAM
    encoded = _encoded(msgspec.json.encode(principal.options), streaming, member_of)
    headers = (("etag", encoded.etag), ("cache-control", "private, no-cache"))
    if _has(known, encoded.etag):
        return Answer(304, headers=headers)
    return Answer(200, encoded.body, headers=headers)


@lru_cache(maxsize=1_000)
def _encoded(options: bytes, streaming: bool, member_of: tuple[str, ...]) -> Encoded:
    """Once for each settings; the key is their text, because they may hold lists."""
    settings = msgspec.json.decode(options, type=ProjectSettings)
    body = msgspec.json.encode(document(settings, streaming=streaming, member_of=member_of))
    return Encoded(body, f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def _has(known: str, etag: str) -> bool:
    """If-None-Match: a list of tags, perhaps weakened on the way, or `*`."""
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return etag in tags or tags == ["*"]


CONFIG = Door(methods=("GET", "HEAD"), behind=config)


@extend_schema(tags=["pipeline"])
class ConfigView(DoorView):
    """How the SDKs of the key's project should behave."""

    door = CONFIG

    @extend_schema(operation_id="config", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> HttpResponse:
        return self.through(request)

    head = get
