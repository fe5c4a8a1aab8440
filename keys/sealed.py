"""Secrets at rest: what we must be able to read again (webhook, Shopify, identity secrets) is stored encrypted.

The key is made from PERSONA_SECRET_KEY. To rotate it, give the old one in PERSONA_SECRET_KEY_FALLBACKS: what was sealed
with it still opens, and is sealed with the new one when it is next saved.
"""

import base64
import hashlib
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

PURPOSE = b"persona.sealed.1:"  # the same key signs sessions: no key for two purposes


class Unreadable(Exception):
    """Sealed with a key that this installation no longer has."""


def seal(secret: str) -> str:
    """ASCII text that only this installation can open."""
    return _box().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """The secret. Raises Unreadable."""
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken:
        detail = "A stored secret cannot be read: add the former key to PERSONA_SECRET_KEY_FALLBACKS, or set it anew."
        raise Unreadable(detail) from None


def _box() -> MultiFernet:
    return _box_of(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=4)
def _box_of(*keys: str) -> MultiFernet:
    """The first key seals, all of them open."""
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(hashlib.sha256(PURPOSE + key.encode()).digest())) for key in keys]
    )
