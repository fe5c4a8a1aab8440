"""The limits that a person gives to a key, checked and in one spelling. Each raises Problem 400 key.invalid."""

import re
from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from keys.scopes import SCOPES
from persona.lib.problems import Problem

_USUAL = {"http": ":80", "https": ":443"}  # ports that no browser writes
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")  # also app schemes


def _invalid(detail: str) -> Problem:
    return Problem(400, "key.invalid", detail)


def checked_origins(kind: str, origins: Iterable[str]) -> list[str]:
    """Origins as browsers send them: scheme and host, a port only where it is not the usual one."""
    found = sorted({_as_sent(origin) for origin in origins})
    if found and kind != "pk":
        raise _invalid("Only a publishable key (pk) has allowed origins; browsers must not have secret keys.")
    for origin in found:
        if _ORIGIN.fullmatch(origin) is None:
            raise _invalid(f"{origin!r} is not an origin such as https://shop.example or http://localhost:3000.")
    return found


def _as_sent(origin: str) -> str:
    written = origin.strip().lower().rstrip("/")
    return written.removesuffix(_USUAL.get(written.partition("://")[0], "/"))


def checked_scopes(kind: str, scopes: Iterable[str]) -> list[str]:
    """Known scopes, for secret keys only."""
    found = sorted({scope.strip() for scope in scopes})
    if found and kind != "sk":
        raise _invalid("Only a secret key (sk) has scopes; what a publishable key may do is fixed.")
    for scope in found:
        if scope not in SCOPES:
            raise _invalid(f"There is no scope {scope!r}. The scopes are: {', '.join(SCOPES)}.")
    return found


def checked_expiry(expires_at: datetime | None) -> datetime | None:
    """An instant in the future, or none."""
    if expires_at is not None and expires_at <= timezone.now():
        raise _invalid("The expiry must lie in the future.")
    return expires_at
