"""From the headers of a request to the principal it speaks for."""

import base64
from collections.abc import Callable, Mapping

from keys.principal import Principal
from keys.ring import KeyRing

__all__ = ["KeyRing", "Principal", "credential", "ring"]

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
    """The key a request carries, unchecked, or None. Header names are in lower case."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    read = _SCHEMES.get(scheme.lower())
    if read is not None and (found := read(value.strip()).strip()):
        return found
    for name in _HEADERS:
        if found := headers.get(name, "").strip():
            return found
    return None
