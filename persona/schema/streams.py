"""The two addresses that Django never sees, for the OpenAPI document: the stream of changes, and tickets for it."""

from typing import Any

PERSONA = {
    "name": "persona",
    "in": "query",
    "description": "slugs of personas, as often as wanted; without it, all",
    "schema": {"type": "array", "items": {"type": "string"}},
}
LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "the number of the last change that was seen; without it, the stream starts now",
    "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
}
FRAME = 'id: 1487\nevent: segment.updated\ndata: {"profile":"u_...","persona":"high_intent","op":"enter"}\n\n'
STREAMS: dict[str, dict[str, Any]] = {
    "/api/v2/pipeline/stream": {
        "get": {
            "operationId": "stream",
            "description": "Enters and leaves as they happen: server-sent events, numbered as the change log.",
            "tags": ["pipeline"],
            "parameters": [PERSONA, LAST_EVENT_ID],
            "security": [{"key": []}],
            "responses": {
                "200": {
                    "description": "Frames until either side ends it.",
                    "content": {"text/event-stream": {"schema": {"type": "string"}, "example": FRAME}},
                }
            },
        }
    },
    "/api/v2/pipeline/stream/tickets": {
        "post": {
            "operationId": "stream_ticket",
            "description": "A short-lived ticket with which a browser's EventSource opens one stream.",
            "tags": ["pipeline"],
            "security": [{"key": []}],
            "responses": {},
        }
    },
}
