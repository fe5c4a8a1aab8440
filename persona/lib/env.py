"""Settings from the environment: typed, and an error that names the variable and the remedy."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class BadEnvironment(ValueError):
    """A variable holds a value that cannot be used; the text says which, and what would do."""


def text(name: str, default: str = "", *, environ: Mapping[str, str] = os.environ) -> str:
    return environ.get(name, default).strip()


def flag(name: str, default: bool, *, environ: Mapping[str, str] = os.environ) -> bool:
    given = environ.get(name)
    if given is None:
        return default
    word = given.strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise BadEnvironment(f"{name}={given!r}: say 1 or 0")


def number(
    name: str,
    default: int,
    *,
    least: int = 0,
    most: int = 2**53,
    environ: Mapping[str, str] = os.environ,
) -> int:
    given = environ.get(name)
    if given is None or not given.strip():
        return default
    try:
        value = int(given)
    except ValueError:
        raise BadEnvironment(f"{name}={given!r}: a whole number is needed") from None
    if not least <= value <= most:
        raise BadEnvironment(f"{name}={value}: must lie between {least} and {most}")
    return value


def words(name: str, default: str = "", *, environ: Mapping[str, str] = os.environ) -> list[str]:
    """A comma-separated list, without empty words."""
    return [word.strip() for word in environ.get(name, default).split(",") if word.strip()]


def origin(name: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """Scheme and host such as https://persona.example, without a slash at the end; empty when it is not set."""
    given = text(name, environ=environ).rstrip("/")
    parts = urlsplit(given)
    if given and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query):
        raise BadEnvironment(f"{name}={given!r}: write it as https://persona.example")
    return given
