"""`Idempotency-Key` on POST: a repeated request gets the answer of the first one, for 24 hours, and does nothing.

A key belongs to its caller and address. What failed is forgotten, so that it can be tried again with the same key.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

import msgspec
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from keys import sealed
from keys.access import actor_of
from keys.api import ProjectView
from keys.audit import actor_name
from keys.models import IdempotencyKey
from persona.lib.problems import Problem

KEPT = timedelta(hours=24)
UNDER_WAY = timedelta(minutes=1)  # after which a first request without an answer is taken for dead
LENGTH = 255
KEY = re.compile(f"[!-~]{{1,{LENGTH}}}")
HEADERS = ("Location", "ETag")  # of an answer, kept with it

Handler = Callable[..., Response]


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
        row, is_first = _row(view, request, given)
        if not is_first:
            return _repeated(row, request)
        try:
            answer = handler(view, request, *args, **kwargs)
        except BaseException:
            row.delete()
            raise
        kept = Kept(answer.data, {name: answer[name] for name in HEADERS if name in answer})
        row.status, row.answer = answer.status_code, sealed.seal(msgspec.json.encode(kept).decode())
        row.save(update_fields=["status", "answer"])
        return answer

    return once


def forget_old() -> int:
    """Drop what is older than 24 hours; the rows dropped."""
    return IdempotencyKey.objects.filter(at__lt=timezone.now() - KEPT).delete()[0]


def _row(view: ProjectView, request: Request, given: str) -> tuple[IdempotencyKey, bool]:
    """The row of this key, and whether this request made it."""
    if not KEY.fullmatch(given):
        raise Problem(400, "idempotency.invalid", f"Idempotency-Key: 1 to {LENGTH} letters, digits and signs of ASCII.")
    project, now = view.project, timezone.now()
    key = _digest(actor_name(actor_of(request)), request.path.rstrip("/"), given)
    stale = IdempotencyKey.objects.filter(project=project, key=key)
    stale.filter(at__lt=now - KEPT).delete()
    stale.filter(status=None, at__lt=now - UNDER_WAY).delete()
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(project=project, key=key, request=_asked(request)), True
    except IntegrityError:
        found = stale.first()
        if found is None:
            raise _under_way() from None  # it failed this very moment
        return found, False


def _repeated(row: IdempotencyKey, request: Request) -> Response:
    if row.request != _asked(request):
        detail = "This key was used for another body. Use a new key for a new request."
        raise Problem(422, "idempotency.mismatch", detail)
    if row.status is None:
        raise _under_way()
    kept = msgspec.json.decode(sealed.unseal(row.answer), type=Kept)
    headers = {**kept.headers, "Idempotency-Replayed": "true"}
    return Response(kept.data, status=row.status, headers=headers)


def _under_way() -> Problem:
    return Problem(409, "idempotency.under_way", "The first request with this key is not over yet.", retry_after=1)


def _asked(request: Request) -> str:
    """Of the body, byte by byte: read before any parser, which leaves nothing behind."""
    return hashlib.sha256(request._request.body).hexdigest()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()
