"""What has become of a key, in one word."""

from datetime import datetime

from keys.models import ApiKey


def state(key: ApiKey, now: datetime) -> str:
    """active, rotating (its successor exists, its grace runs), expired or revoked."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "active" if key.replaced_by_id is None else "rotating"
