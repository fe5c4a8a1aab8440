"""What stands in addresses and headers, for the OpenAPI document: each name means the same wherever it appears."""

from typing import Any

from keys.models import SLUG_PATTERN
from persona.lib import paging

Json = dict[str, Any]

SLUG = {"type": "string", "pattern": SLUG_PATTERN}
NUMBER = {"type": "string", "pattern": "^[0-9]{1,18}$"}
TEXT = {"type": "string", "minLength": 1, "maxLength": 512}
PATHS: dict[str, tuple[Json, str]] = {
    "project": (SLUG, "slug of the project"),
    "slug": (SLUG, "slug of the persona; of Shopify's webhooks, of the project"),
    "reference": (TEXT, "a public id (`u_...`), or a userId"),
    "lookup": ({"type": "string", "pattern": "^[ps]k_(live|test)_[A-Za-z0-9]{8}$"}, "the first 16 characters of a key"),
    "destination": ({"type": "string", "pattern": "^d_[A-Za-z0-9]{16}$"}, "id of a destination"),
    "delivery": (NUMBER, "id of a delivery"),
    "number": (NUMBER, "id of a dead letter"),
    "batch": (TEXT, "id of a batch (`b_...`)"),
    "batch_id": (TEXT, "id of a batch (`b_...`)"),
    "key": ({"type": "string", "pattern": "^pk_(live|test)_[A-Za-z0-9]{32}$"}, "a publishable key"),
}
QUERIES: dict[str, Json] = {
    "project": SLUG,
    "persona": SLUG,
    "destination": PATHS["destination"][0],
    "batch": {"type": "string", "pattern": "^[^\\u0000]*$"},
    **dict.fromkeys(("profile", "user_id", "anonymous_id"), TEXT),
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "a request that is repeated with it gets the answer of the first one, for 24 hours",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "the `ETag` of the state that is edited: refused with 412 when somebody else has changed it",
    "schema": {"type": "string", "minLength": 1, "pattern": "^[!-~]+$"},
}
HEADERS = {
    "X-Request-Id": {"schema": {"type": "string"}, "description": "the caller's, or ours; it stands in the logs"},
}
LIMITS = {
    "RateLimit-Limit": {"schema": {"type": "integer"}, "description": "requests at once; without a limit not there"},
    "RateLimit-Remaining": {"schema": {"type": "integer"}, "description": "requests that are left now"},
    "RateLimit-Reset": {"schema": {"type": "integer"}, "description": "seconds until all of them are back"},
}
ETAG = {"ETag": {"schema": {"type": "string"}, "description": "for `If-Match`"}}
RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
# What repeats nothing when it is repeated, or is of no project.
READS = frozenset({"personas_preview", "personas_preview_new", "personas_import_segops", "sandbox", "projects_create"})
# Whether it is needed.
EDITS = {
    "personas_change": False, "personas_replace": False, "personas_delete": False,
    "destinations_change": False, "destinations_delete": False,
    "settings_change": True,
}  # fmt: skip
TAGGED = frozenset(
    {"personas_get", "personas_create", "destinations_get", "destinations_create", "settings_get"}
    | {name for name in EDITS if name.endswith(("_change", "_replace"))}
)


def describe(operation: Json, *, address: str, method: str, managed: bool) -> None:
    """Give `operation` its parameters and the headers of its answers."""
    name = operation["operationId"]
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if parameter["in"] == "path" and parameter["name"] in PATHS:
            parameter["schema"], parameter["description"] = PATHS[parameter["name"]]
        if parameter["in"] == "query" and parameter["name"] in QUERIES:
            shape = QUERIES[parameter["name"]]
            many = parameter["schema"].get("type") == "array"
            parameter["schema"] = {"type": "array", "items": shape} if many else shape
        if parameter["name"] == "cursor":
            parameter["schema"].setdefault("pattern", paging.pattern(address))
    if managed and method == "post" and name not in READS:
        parameters.append(IDEMPOTENCY_KEY)
    if name in EDITS:
        parameters.append({**IF_MATCH, "required": EDITS[name]})
    for answer in operation["responses"].values():
        if "$ref" not in answer:
            limits = LIMITS if managed else {}
            answer["headers"] = {**HEADERS, **limits, **(ETAG if name in TAGGED else {})}
