"""What the operator has set and every request asks for: read once, because Django's settings take a call each time."""

from functools import lru_cache
from typing import Any

import msgspec
from django.conf import settings
from django.core.signals import setting_changed


class Installation(msgspec.Struct, frozen=True):
    """ingest_rate: events a second for each key, 0 for no limit; ingest_burst: events at once; redis: its address or
    ''; hosts: Host headers this server answers to."""

    ingest_rate: int
    ingest_burst: int
    redis: str
    hosts: tuple[str, ...]


@lru_cache(maxsize=1)
def installation() -> Installation:
    return Installation(
        ingest_rate=settings.PERSONA_INGEST_RATE,
        ingest_burst=settings.PERSONA_INGEST_BURST,
        redis=settings.REDIS_URL,
        hosts=tuple(settings.ALLOWED_HOSTS),
    )


def _forget(**_: Any) -> None:
    installation.cache_clear()


setting_changed.connect(_forget, dispatch_uid="keys.installation")  # sent by tests alone
