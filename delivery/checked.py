"""What people give for a destination, checked. Each raises Problem 400 destination.invalid, which names the field."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from delivery.models import Destination, DestinationSettings
from delivery.sending.kinds import TRANSPORTS, URLS
from keys.models import Project
from persona.lib.problems import Problem
from segments.models import Change, Persona

URL_LENGTH = 2_000


def invalid(field: str, detail: str) -> Problem:
    return Problem(400, "destination.invalid", f"{field}: {detail}", extra={"field": field})


def checked_kind(kind: str) -> str:
    if kind not in TRANSPORTS:
        raise invalid("kind", f"{kind[:20]!r} is none of {', '.join(sorted(TRANSPORTS))}.")
    return kind


def checked_url(kind: str, given: str) -> str:
    """An absolute http(s) address without credentials; of an analytics product its usual one if none is given.

    Whether it leads inside is not asked here but at each connection: names change their minds.
    """
    url = given.strip() or URLS.get(Destination.Kind(kind), "")
    if not url:
        raise invalid("url", "A webhook needs the address that it is sent to.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise invalid("url", "This is not an address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > URL_LENGTH:
        raise invalid("url", f"An http:// or https:// address of at most {URL_LENGTH} characters is needed.")
    if parts.username or parts.password or parts.fragment or not url.isprintable() or " " in url:
        raise invalid("url", "Leave out user name, password, fragment and blanks.")
    return url


def checked_personas(project: Project, given: Iterable[str]) -> list[str]:
    """Slugs of personas that exist, each once."""
    wanted = sorted(set(given))
    known = set(
        Persona.objects.filter(project=project, deleted_at=None, slug__in=wanted).values_list("slug", flat=True)
    )
    for slug in wanted:
        if slug not in known:
            raise invalid("personas", f"The project has no persona {slug[:70]!r}.")
    return wanted


def checked_ops(given: Iterable[str]) -> list[str]:
    wanted = sorted(set(given))
    for op in wanted:
        if op not in Change.Op.values:
            raise invalid("ops", f"{op[:20]!r} is neither enter nor leave.")
    return wanted


def checked_settings(kind: str, given: Any) -> dict[str, Any]:
    try:
        options = msgspec.convert(given, DestinationSettings)
    except msgspec.ValidationError as error:
        raise invalid("settings", f"{error}.") from None
    most = TRANSPORTS[kind].MOST
    if options.batch is not None and options.batch > most:
        raise invalid("settings", f"batch: at most {most} for a destination of this kind.")
    return dict(msgspec.to_builtins(options))


def checked_secret(given: str) -> str:
    """The key or token of an analytics product."""
    if not given.strip() or len(given) > 500 or not given.isprintable():
        raise invalid("secret", "The API key or project token of the project there is needed.")
    return given.strip()
