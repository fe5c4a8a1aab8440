"""From the headers of a request to the principal it speaks for: a project key, or a session token made with one."""

import base64
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import msgspec

from keys import sessions, tokens
from keys.known.ring import KeyRing
from keys.principal import Principal
from keys.tokens import Token
from persona.lib.futures import mapped

__all__ = ["KeyRing", "Principal", "cached", "credential", "lookup", "parsed", "resolve", "ring"]

ring = KeyRing()


def _user_name(value: str) -> str:
    """Basic authentication carries the key as its user name, with an empty password."""
    try:
        return base64.b64decode(value, validate=True).decode("latin-1").partition(":")[0]
    except ValueError:  # also what is no ASCII
        return value  # not base64: refused like any other text that is no key


_SCHEMES: dict[str, Callable[[str], str]] = {"bearer": str, "apikey": str, "basic": _user_name}
_HEADERS = ("x-api-key", "x-pg-api-key")


def credential(headers: Mapping[str, str]) -> str | None:
    """The key or token a request carries, unchecked, or None. Header names are in lower case."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    read = _SCHEMES.get(scheme.lower())
    if read is not None and (found := read(value.strip()).strip()):
        return found
    for name in _HEADERS:
        if found := headers.get(name, "").strip():
            return found
    return None


def parsed(given: str) -> Token | None:
    """A project key, taken apart; None for what is none. A session token must be verified each time."""
    return tokens.parse(given)


def cached(given: str | Token) -> Principal | None:
    """Who it speaks for, from memory alone; None when that must be looked up. Raises Problem 401."""
    if isinstance(given, Token):
        return ring.cached(given)
    if not sessions.looks_like_one(given):
        return ring.cached(given)
    session = sessions.verified(given)
    principal = ring.cached(session.token)
    return None if principal is None else _locked(principal, session)


def lookup(given: str | Token) -> "Future[Principal]":
    """The same by the ring's own thread. The future's exception is a Problem; raises one for a bad session token."""
    if isinstance(given, Token) or not sessions.looks_like_one(given):
        return ring.lookup(given)
    session = sessions.verified(given)
    return mapped(ring.lookup(session.token), lambda principal: _locked(principal, session))


def resolve(given: str) -> Principal:
    """The same on this thread, with one query when it is not in memory. Raises Problem 401 or 503."""
    if not sessions.looks_like_one(given):
        return ring.resolve(given)
    session = sessions.verified(given)
    return _locked(ring.resolve(session.token), session)


def _locked(principal: Principal, session: sessions.Session) -> Principal:
    return msgspec.structs.replace(principal, session=session)
