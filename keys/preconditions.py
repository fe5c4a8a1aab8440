"""`If-Match` on edits, so that nobody overwrites what they have not seen."""

import hashlib

import msgspec
from rest_framework.request import Request

from persona.lib.problems import Problem


def etag(*parts: object) -> str:
    """The ETag of something that is the same as long as `parts` are."""
    return f'"{hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:20]}"'


def require_match(request: Request, current: str, *, required: bool = False) -> None:
    """Raises Problem 412 precondition.failed when the caller edits another state than the `current` one, and 428
    precondition.required when they do not say which, where that is not left to them."""
    given = request.headers.get("If-Match")
    if given is None:
        if required:
            detail = "Say which state you edit: send the ETag of your last read as If-Match."
            raise Problem(428, "precondition.required", detail)
        return
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    if current not in tags and tags != {"*"}:
        detail = "It has been changed since you read it. Read it again, and repeat your change on that."
        raise Problem(412, "precondition.failed", detail, headers=(("etag", current),))
