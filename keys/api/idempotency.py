"""`Idempotency-Key` on POST: a repeated request gets the answer of the first one, for 24 hours, and does nothing.

A key belongs to its caller and address. What failed is forgotten, so that it can be tried again with the same key.

The row of a key is locked for as long as its request is under way, and its answer is committed together with what was
done: a process that dies leaves both or neither, and whoever repeats the request then does it.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from keys import sealed
from keys.api.views import ProjectView, caller_of
from keys.models import IdempotencyKey
from persona.lib.problems import Problem

KEPT = timedelta(hours=24)
LENGTH = 255
KEY = re.compile(f"[!-~]{{1,{LENGTH}}}")
HEADERS = ("Location", "ETag")  # of an answer, kept with it

Handler = Callable[..., Response]
Deed = Callable[[], Response]


class Kept(msgspec.Struct):
    """An answer."""

    data: Any
    headers: dict[str, str]


def idempotent(handler: Handler) -> Handler:
    """For every `post` of a ProjectView that writes. Raises Problem 400 idempotency.invalid, 409
    idempotency.under_way, 422 idempotency.mismatch."""

    @wraps(handler)
    def once(view: ProjectView, request: Request, *args: Any, **kwargs: Any) -> Response:
        given = request.headers.get("Idempotency-Key")
        if given is None:
            return handler(view, request, *args, **kwargs)
        key = _claimed(view, request, given)
        answer = _first_answer(view, request, key, lambda: handler(view, request, *args, **kwargs))
        if isinstance(answer, Exception):
            raise answer
        return answer

    return once


def forget_old() -> int:
    """Drop what is older than 24 hours; the rows dropped."""
    return IdempotencyKey.objects.filter(at__lt=timezone.now() - KEPT).delete()[0]


def _claimed(view: ProjectView, request: Request, given: str) -> str:
    """The digest of the key, of which there is a row now. Committed at once, so that whoever comes next sees it."""
    if not KEY.fullmatch(given):
        raise Problem(400, "idempotency.invalid", f"Idempotency-Key: 1 to {LENGTH} letters, digits and signs of ASCII.")
    key = _digest(caller_of(request) or "", request.path.rstrip("/"), given)
    rows = IdempotencyKey.objects.filter(project=view.project, key=key)
    rows.filter(at__lt=timezone.now() - KEPT).delete()
    row = IdempotencyKey(project=view.project, key=key, request=_asked(request))
    IdempotencyKey.objects.bulk_create([row], ignore_conflicts=True)
    return key


@transaction.atomic
def _first_answer(view: ProjectView, request: Request, key: str, deed: Deed) -> Response | Exception:
    """What this request or an earlier one was answered; or, returned for the sake of the commit, why it failed."""
    row = IdempotencyKey.objects.select_for_update(skip_locked=True).filter(project=view.project, key=key).first()
    if row is None:  # somebody else holds it, or has failed this very moment
        raise Problem(409, "idempotency.under_way", "The first request with this key is not over yet.", retry_after=1)
    if row.status is not None:
        return _repeated(row, request)
    try:
        with transaction.atomic():
            answer = deed()
    except Exception as error:  # any: the key is free again, and the caller is told by whoever called us
        row.delete()
        return error
    kept = Kept(answer.data, {name: answer[name] for name in HEADERS if name in answer})
    # What it was asked is said anew: a first request that died may have been another.
    row.request, row.status = _asked(request), answer.status_code
    row.answer = sealed.seal(msgspec.json.encode(kept).decode())
    row.save(update_fields=["request", "status", "answer"])
    return answer


def _repeated(row: IdempotencyKey, request: Request) -> Response:
    if row.request != _asked(request):
        detail = "This key was used for another body. Use a new key for a new request."
        raise Problem(422, "idempotency.mismatch", detail)
    kept = msgspec.json.decode(sealed.unseal(row.answer), type=Kept)
    headers = {**kept.headers, "Idempotency-Replayed": "true"}
    return Response(kept.data, status=row.status, headers=headers)


def _asked(request: Request) -> str:
    """Of the body, byte by byte: read before any parser, which leaves nothing behind."""
    return hashlib.sha256(request._request.body).hexdigest()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()
