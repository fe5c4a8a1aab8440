"""What a key looks like: `pk_live_` and 32 random base-62 characters. Pure; knows no database."""

import hashlib
import hmac
import re
from typing import Literal

import msgspec

from persona.lib.ids import opaque

Kind = Literal["pk", "sk"]
Mode = Literal["live", "test"]

RANDOM_LENGTH = 32  # 190 bits
LENGTH = len("pk_live_") + RANDOM_LENGTH
LOOKUP_LENGTH = len("pk_live_") + 8
_PREFIXES: dict[str, tuple[Kind, Mode]] = {
    "pk_live_": ("pk", "live"),
    "sk_live_": ("sk", "live"),
    "pk_test_": ("pk", "test"),
    "sk_test_": ("sk", "test"),
}
_SHAPE = re.compile(rf"({'|'.join(_PREFIXES)})[A-Za-z0-9]{{{RANDOM_LENGTH}}}")


class Token(msgspec.Struct, frozen=True):
    """What a well-formed key says by itself, without the secret part.

    key_id: not 0 when a session token of ours names the key: then its digest is not asked for.
    """

    kind: Kind
    mode: Mode
    lookup: str
    digest: bytes
    key_id: int = 0


def make(kind: str, mode: str) -> str:
    """A new key from the system's random generator."""
    prefix = f"{kind}_{mode}_"
    if prefix not in _PREFIXES:
        raise ValueError(f"there are no keys that start with {prefix}")
    return opaque(prefix, RANDOM_LENGTH)


def digest(key: str) -> bytes:
    """SHA-256 of the whole key; never fails, whatever text a client sends."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def parse(key: str) -> Token | None:
    """The parts of a key, or None when it cannot be one."""
    match = _SHAPE.fullmatch(key)
    if match is None:
        return None
    kind, mode = _PREFIXES[match[1]]
    return Token(kind, mode, key[:LOOKUP_LENGTH], digest(key))


def same(given: bytes, stored: bytes) -> bool:
    """Are the digests equal? Takes the same time wherever they differ."""
    return hmac.compare_digest(given, stored)
