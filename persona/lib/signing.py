"""Signatures of what we send: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`, one v1 for each secret."""

import hashlib
import hmac
from collections.abc import Sequence


def signature(secrets: Sequence[str], body: bytes, *, now: int) -> str:
    """The header's value; `now` in seconds. The current secret comes first: some verifiers read only that."""
    signed = b"%d.%s" % (now, body)
    marks = (hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets)
    return ",".join([f"t={now}", *(f"v1={mark}" for mark in marks)])
