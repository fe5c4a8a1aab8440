"""Every reason for which a credential is refused: its status and what the caller can do about it."""

from persona.lib.problems import Problem

MISSING = "auth.missing_key"
INVALID = "auth.invalid_key"
REVOKED = "auth.revoked_key"
EXPIRED = "auth.expired_key"
WRONG_KIND = "auth.wrong_kind"
ORIGIN = "auth.origin_refused"
SCOPE = "auth.scope_missing"
ROLE = "auth.role_missing"
UNAVAILABLE = "auth.unavailable"
INVALID_SESSION = "auth.invalid_session"
SIGN_IN = "auth.sign_in_failed"
SECOND_FACTOR = "auth.second_factor"
SIGNATURE = "auth.signature_invalid"
SIGNATURE_STALE = "auth.signature_stale"
SIGNATURE_USED = "auth.signature_used"

_REASONS = {
    MISSING: (401, "Send a project key: `Authorization: Bearer pk_live_...` or `sk_live_...`."),
    INVALID: (401, "This is not a key of any project here. Check that it was copied whole, with its prefix."),
    REVOKED: (401, "This key was revoked. Use the project's current key."),
    EXPIRED: (401, "This key has expired. Use the project's current key."),
    WRONG_KIND: (403, "A publishable key (pk_) cannot do this. Use a secret key (sk_) from a server."),
    ORIGIN: (403, "This key may not be used from this origin. Add the origin to the key's list of allowed origins."),
    SCOPE: (403, "This key lacks the scope that this needs."),
    ROLE: (403, "Your role in this project allows reading only."),
    INVALID_SESSION: (
        401,
        "This session token has expired or is none of ours. Make a new one.",
    ),
    SIGN_IN: (401, "There is nobody with this name and password."),
    SECOND_FACTOR: (403, "This person signs in with a second factor. Programs of theirs use a secret key (sk_)."),
    SIGNATURE: (401, "The signature is missing or wrong. It is made on your server, with the project's secret."),
    SIGNATURE_STALE: (
        401,
        "The signature is not of the last 5 minutes. Sign anew, and check the clock.",
    ),
    SIGNATURE_USED: (401, "This signature was used before. Each is good for one handshake: sign anew."),
    UNAVAILABLE: (503, "The key cannot be checked right now. Try again in a moment."),
}


def refusal(code: str, detail: str = "") -> Problem:
    """A new problem for one of the codes above; `detail` replaces its text."""
    status, usual = _REASONS[code]
    return Problem(status, code, detail or usual, retry_after=1 if code == UNAVAILABLE else None)
