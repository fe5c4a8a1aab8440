"""Who calls, and may they: from the headers of a request to a principal, without waiting on the calling thread."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future

from keys import auth
from keys.auth import Principal, credential
from keys.known.sightings import Way
from keys.permits import require_origin, require_scope, require_secret
from keys.refusals import MISSING, refusal
from keys.tokens import Token
from persona.lib import wire
from persona.lib.futures import then
from persona.lib.problems import Problem
from persona.lib.wire import Answer

Headers = Mapping[str, str]  # names in lower case
Reply = Answer | Future[Answer]


def lookup_of(headers: Headers) -> Future[Principal] | None:
    """The look-up of a key that is not in memory (it raises Problem), or None when there is nothing to wait for.

    Whoever waits for it before `for_caller` has the `step` run on his own thread. On the ring's, a few large bodies
    would keep the ring from confirming the keys of everybody.
    """
    key = credential(headers)
    return None if key is None or auth.cached(key) is not None else auth.lookup(key)


def for_caller(
    headers: Headers,
    *,
    scope: str,
    way: Way,
    step: Callable[[Principal], Reply],
    refused: Callable[[Problem], Answer],
    secret_only: bool = False,
) -> Reply:
    """The answer of `step` for the caller, or that of `refused` for whoever may not (401, 403, 503).

    At once when the key is in memory; else a future, resolved on the key ring's thread.
    """

    def permitted(principal: Principal) -> Reply:
        if secret_only:
            require_secret(principal)
        require_origin(principal, headers.get("origin"))
        require_scope(principal, scope)
        auth.ring.note(principal, way, headers)
        return step(principal)

    try:
        key = _key(headers)
        if key is None:
            raise refusal(MISSING)
        known = auth.cached(key)
        if known is None:
            return then(auth.lookup(key), permitted, refused)
        return permitted(known)
    except Problem as problem:
        return refused(problem)


def _key(headers: Headers) -> str | Token | None:
    """What they carry; taken apart once where they are sent again and again."""
    if not isinstance(headers, wire.Repeated):
        return credential(headers)
    if not isinstance(headers.credential, Token):
        key = credential(headers)
        headers.credential = None if key is None else auth.parsed(key)
        return key
    return headers.credential
