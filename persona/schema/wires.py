"""What the wires take and answer, for the OpenAPI document: theirs is decided by other products' clients.

Readers are tolerant: keys that are not here are kept, and an event that cannot be taken costs no other.
"""

from typing import Annotated, Any, Literal

import msgspec

from ingestion import shapes
from segments.streaming import desk

Object = dict[str, Any]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class PipelineEvent(msgspec.Struct, omit_defaults=True):
    """An event. Keys that are not here are kept in its context."""

    type: Literal["track", "identify", "page", "screen", "group", "alias"]
    event: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    userId: str | int | None = None  # noqa: N815 - as the wire writes it
    anonymousId: str | int | None = None  # noqa: N815 - as the wire writes it
    previousId: str | int | None = None  # noqa: N815 - as the wire writes it
    messageId: str | int | None = None  # noqa: N815 - as the wire writes it
    timestamp: str | None = None
    properties: Object | None = None
    traits: Object | None = None
    context: Object | None = None


class PipelineBatch(msgspec.Struct, omit_defaults=True):
    """1 to 256 events."""

    batch: Annotated[list[PipelineEvent], msgspec.Meta(min_length=1, max_length=256)]
    sentAt: str | None = None  # noqa: N815 - as the wire writes it
    context: Object | None = None


class EventProblem(msgspec.Struct):
    """Why an event is not taken."""

    index: int
    code: str
    field: str | None
    detail: str


class EventWarning(msgspec.Struct):
    """What of the batch could not be used."""

    code: str
    field: str | None
    detail: str


class PipelineAccepted(msgspec.Struct, omit_defaults=True):
    """It is committed: the events will be applied."""

    accepted: int
    batchId: str  # noqa: N815 - as the wire writes it
    rejected: int = 0
    errors: list[EventProblem] = []
    warnings: list[EventWarning] = []


class SdkConfig(msgspec.Struct):
    """How the SDKs of a project should behave. refreshAfter: seconds until they ask again."""

    flags: Object
    flushIntervalMs: int  # noqa: N815 - as the wire writes it
    refreshAfter: int  # noqa: N815 - as the wire writes it
    sampling: list[Object]
    destinations: list[str]


class Ticket(msgspec.Struct):
    """url: what to open with it."""

    ticket: str
    url: str
    expiresAt: str  # noqa: N815 - as the wire writes it


class SegOpsEvent(msgspec.Struct, omit_defaults=True):
    """One event of SegOps; `user_id` or `anonymous_id` is needed."""

    event_type: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    payload: Object | None = None
    occurred_at: str | None = None


class SegOpsBatch(msgspec.Struct):
    """At most 500 events."""

    events: Annotated[list[SegOpsEvent], msgspec.Meta(max_length=500)]


class SegOpsQueued(msgspec.Struct, omit_defaults=True):
    """Of one event `queued` is true; of a batch how many are, and how many were skipped."""

    queued: bool | int
    skipped: int = 0
    errors: list[Object] = []


class Asked(msgspec.Struct, omit_defaults=True):
    """Who a browser says it is; a signed user id is proven."""

    user_id: str | None = None
    anonymous_id: str | None = None
    user_id_sig: str | None = None
    user_id_ts: int | None = None


class BrowserSession(msgspec.Struct):
    """A session token, and whose it is."""

    token: str
    expires_at: str
    uid: str


class Health(msgspec.Struct):
    """The three words of SegOps, found out and not just said; and our own."""

    pubsub_topic: str
    worker: str
    clickhouse: str
    queue: str
    event_store: str
    lag_ms: int | None


class ProductGraphBatch(msgspec.Struct):
    """At most 1,000 events."""

    events: shapes.Events


class ProductGraphAccepted(msgspec.Struct):
    """How many are taken, and the first thing that is wrong with each of the others."""

    accepted: int
    rejected: int
    errors: list[Object]


class SegmentBatch(msgspec.Struct):
    """Events of any type."""

    batch: shapes.Events


class SegmentTaken(msgspec.Struct, omit_defaults=True):
    """What these clients want to hear; what is wrong with single events stands beside it."""

    success: Literal[True]
    rejected: int = 0
    errors: list[Object] = []


class Corrected(msgspec.Struct, forbid_unknown_fields=True):
    """The event as it should have been; nothing to send it as it was."""

    event: Object | msgspec.UnsetType = msgspec.UNSET


class Detail(msgspec.Struct):
    """A refusal as SegOps says it."""

    detail: str
    code: str


class SegmentRefusal(msgspec.Struct):
    """A refusal as the clients of Segment read it."""

    success: Literal[False]
    code: str
    message: str


class Credentials(msgspec.Struct):
    """A person's name and password."""

    username: Annotated[str, msgspec.Meta(min_length=1)]
    password: Annotated[str, msgspec.Meta(min_length=1)]


class PersonToken(msgspec.Struct):
    """A token for the management API, and one to have another."""

    access: str
    refresh: str


class Refresh(msgspec.Struct):
    """The token to have another with."""

    refresh: Annotated[str, msgspec.Meta(min_length=1)]


class Refreshed(msgspec.Struct, omit_defaults=True):
    """Another token."""

    access: str
    refresh: str = ""


Taken = dict[str, type[msgspec.Struct] | type[Object]]
SEGMENT: Taken = {"200": SegmentTaken}
SINGLE = ("alias", "group", "identify", "page", "screen", "track")
ANSWERS: dict[str, Taken] = {
    "ingest": {"202": PipelineAccepted},
    "batch": {"200": shapes.BatchState},
    "config": {"200": SdkConfig},
    "stream_ticket": {"201": Ticket},
    "session": {"200": BrowserSession},
    "shopify": {"200": dict},
    "ingest_health": {"200": Health, "503": Health},
    "api_ingestion_track": {"202": SegOpsQueued},
    "api_ingestion_track_batch": {"202": SegOpsQueued},
    "v1_events": {"202": ProductGraphAccepted},
    "segment_settings": {"200": dict},
    "api_auth_token_create": {"200": PersonToken},
    "api_auth_token_refresh_create": {"200": Refreshed},
    **dict.fromkeys((f"v1_{kind}" for kind in (*SINGLE, "batch", "import")), SEGMENT),
}
BODIES: dict[str, type[msgspec.Struct] | type[Object]] = {
    "ingest": PipelineBatch,
    "stream_ticket": desk.Order,
    "session": Asked,
    "api_ingestion_track": SegOpsEvent,
    "api_ingestion_track_batch": SegOpsBatch,
    "v1_events": ProductGraphBatch,
    "v1_batch": SegmentBatch,
    "v1_import": SegmentBatch,
    "shopify": dict,
    "api_auth_token_create": Credentials,
    "api_auth_token_refresh_create": Refresh,
    **dict.fromkeys((f"v1_{kind}" for kind in SINGLE), dict),
    # Its views take these byte by byte, so that no parser of the framework names them.
    "dead_letters_redrive": Corrected,
    "dead_letters_redrive_many": shapes.Chosen,
}
EXTRA = (shapes.RecentError, EventProblem)

# What may come without a body.
BODILESS = frozenset({"stream_ticket", "dead_letters_redrive"})

# In which form each wire refuses, by the beginning of its address; others with a problem document.
PLAIN: Literal["text/plain"] = "text/plain"
Form = type[msgspec.Struct] | Literal["text/plain"]
FORMS: dict[str, Form] = {
    "/v1/events": PLAIN,
    "/v1/": SegmentRefusal,
    "/api/ingestion/": Detail,
    "/api/auth/": Detail,
}
# What needs no key, or has its secret elsewhere.
OPEN = frozenset(
    {"ingest_health", "shopify", "segment_settings", "api_auth_token_create", "api_auth_token_refresh_create"}
)


def form_at(address: str) -> Form | None:
    """How a refusal at `address` looks; None: a problem document."""
    return next((form for beginning, form in FORMS.items() if address.startswith(beginning)), None)
