"""`POST /api/auth/session/`: a publishable key, and what a browser says of its user, become a session token.

A user id counts as proven when the project's own server has signed it; each signature is good for one token. A project
without an identity secret takes the browser's word, for sending alone.
"""

import hmac
import time
from datetime import UTC, datetime

import msgspec
from django.core.cache import cache

from ingestion.accepting.caller import Headers
from ingestion.accepting.door import Door
from ingestion.dialects import segops
from ingestion.storable import Id, Unfit, known_id
from keys import auth, refusals, sessions, shared
from keys.limits.charging import charge_here
from keys.permits import require_origin
from keys.principal import Principal
from keys.refusals import refusal
from persona.lib.ids import opaque
from persona.lib.problems import Problem
from persona.lib.wire import Answer

WINDOW = 300  # seconds between the clock of who signed and ours, either way
BODY_BYTES = 16 * 1024


class Asked(msgspec.Struct, frozen=True):
    """The body of a handshake."""

    user_id: Id = None
    anonymous_id: Id = None
    user_id_sig: str | None = None
    user_id_ts: Id = None


def handshake(headers: Headers, body: bytes) -> Answer:
    """The token. Waits for the database: for threads. Raises Problem 400, 401, 403, 429 or 503."""
    principal = _caller(headers)
    asked = _asked(body)
    user_id, anonymous_id = _id(asked.user_id, "user_id"), _id(asked.anonymous_id, "anonymous_id")
    proven = user_id is not None and _proven(principal.project_id, user_id, asked)
    if user_id is None and anonymous_id is None:
        anonymous_id = opaque("anon_", 22)
    session = sessions.Session(
        project_id=principal.project_id, key_id=principal.key_id, kind=principal.kind, mode=principal.mode,
        lookup=principal.lookup, user_id=user_id if proven else None, claimed_id=None if proven else user_id,
        anonymous_id=anonymous_id, expires_at=int(time.time()) + sessions.LIFETIME,
    )  # fmt: skip
    expires_at = datetime.fromtimestamp(session.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {"token": sessions.issued(session), "expires_at": expires_at, "uid": user_id or anonymous_id}
    return Answer(200, msgspec.json.encode(document), headers=(("cache-control", "no-store"),))


def _caller(headers: Headers) -> Principal:
    """A publishable key at an origin it may be used from; a token makes no other token."""
    key = auth.credential(headers)
    if key is None:
        raise refusal(refusals.MISSING)
    principal = auth.resolve(key)
    if principal.kind != "pk" or principal.session is not None:
        raise refusal(refusals.WRONG_KIND, "A session is made with a publishable key (pk_).")
    require_origin(principal, headers.get("origin"))
    verdict = charge_here(principal, 1)
    if not verdict.ok:
        raise Problem(429, "rate.limited", "Too many sessions for this key.", retry_after=verdict.retry_after)
    return principal


def _asked(body: bytes) -> Asked:
    try:
        return msgspec.json.decode(body or b"{}", type=Asked)
    except msgspec.ValidationError as error:
        raise Problem(400, "request.invalid", f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(400, "request.not_json", "The body is not JSON.") from None


def _id(value: Id, field: str) -> str | None:
    try:
        return known_id(value, field)
    except Unfit as unfit:
        raise Problem(400, "request.invalid", f"{field}: {unfit.detail}") from None


def _proven(project_id: int, user_id: str, asked: Asked) -> bool:
    """Whether the user id is signed. Raises Problem 401: where the project can tell, it has to be."""
    secrets = shared.values(project_id, shared.Kind.IDENTITY)
    if not secrets and asked.user_id_sig is None:
        return False
    signed_at = _instant(asked.user_id_ts)
    given = (asked.user_id_sig or "").lower().encode()
    expected = [sessions.signature(secret, user_id, signed_at).encode() for secret in secrets]
    if not any([hmac.compare_digest(given, one) for one in expected]):  # noqa: C419 - all of them, for the same time
        raise refusal(refusals.SIGNATURE)
    if abs(time.time() - signed_at) > WINDOW:
        raise refusal(refusals.SIGNATURE_STALE)
    if not cache.add(f"signature:{project_id}:{given.decode()}", 1, 2 * WINDOW):
        raise refusal(refusals.SIGNATURE_USED)
    return True


def _instant(given: Id) -> int:
    """Seconds since 1970, as a number or its digits."""
    text = str(given)
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise refusal(refusals.SIGNATURE, "`user_id_ts` is the instant that was signed, in whole seconds since 1970.")
    return int(text)


HANDSHAKE = Door(
    methods=("POST",), behind=handshake, refused=segops.refused, body_bytes=BODY_BYTES, keyed=False,
    too_large=lambda: Problem(400, "request.too_large", f"At most {BODY_BYTES} bytes."),
)  # fmt: skip
