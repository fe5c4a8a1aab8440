"""Tokens for browsers: a publishable key and, for a known user, a signature of the project's own server become a
short-lived token that is locked to one person. Whoever holds it acts as that person and as nobody else.
"""

import hashlib
import hmac
import time

import jwt
import msgspec
from django.conf import settings

from keys.refusals import INVALID_SESSION, refusal
from keys.tokens import Kind, Mode, Token

LIFETIME = 900  # seconds
AUDIENCE = "persona.session"
PURPOSE = b"persona.session.1:"  # the same key signs sessions of people: no key for two purposes
MOST_CHARACTERS = 4_096
_ALGORITHM = "HS256"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What a token of ours says.

    user_id: proven by a signature of the project; claimed_id: what an unsigned handshake said, where the project
    allows that: good for sending events, never for reading; anonymous_id: of the browser, when there is no user.
    lookup: of the publishable key behind it, which may be revoked meanwhile: `keys.auth.resolve` finds out.
    expires_at: seconds since 1970.
    """

    project_id: int
    key_id: int
    kind: Kind
    mode: Mode
    lookup: str
    user_id: str | None = None
    claimed_id: str | None = None
    anonymous_id: str | None = None
    expires_at: int

    @property
    def speaker(self) -> str | None:
        """The user whose events these are."""
        return self.user_id or self.claimed_id

    @property
    def token(self) -> Token:
        """The key behind it, vouched for by our own signature instead of its digest."""
        return Token(self.kind, self.mode, self.lookup, self.lookup.encode(), self.key_id)


def looks_like_one(credential: str) -> bool:
    """Three parts with dots between: no project key has any."""
    return credential.count(".") == 2


def issued(session: Session) -> str:
    """The token of a session."""
    fields = {name: value for name, value in msgspec.to_builtins(session).items() if value is not None}
    expires_at = fields.pop("expires_at")
    claims = {**fields, "aud": AUDIENCE, "exp": expires_at, "iat": int(time.time())}
    return jwt.encode(claims, _keys()[0], algorithm=_ALGORITHM)


def verified(token: str) -> Session:
    """The session of a token of ours that has not expired. Raises Problem 401.

    This says nothing of the key behind it, which may have been revoked since: `keys.auth.resolve` does.
    """
    for key in _keys() if len(token) <= MOST_CHARACTERS else []:
        try:
            claims = jwt.decode(
                token, key, algorithms=[_ALGORITHM], audience=AUDIENCE, options={"require": ["exp", "aud"]}
            )
            return msgspec.convert({**claims, "expires_at": claims["exp"]}, Session)
        except (jwt.InvalidTokenError, msgspec.ValidationError, UnicodeEncodeError):
            continue
    raise refusal(INVALID_SESSION)


def _keys() -> list[bytes]:
    """The first signs, all of them verify."""
    return [hashlib.sha256(PURPOSE + key.encode()).digest() for key in _secrets()]


def _secrets() -> list[str]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def signature(secret: bytes, user_id: str, timestamp: int) -> str:
    """What the project's own server says of its user: hex HMAC-SHA256 of `user_id|timestamp`."""
    return hmac.new(secret, f"{user_id}|{timestamp}".encode(), hashlib.sha256).hexdigest()
