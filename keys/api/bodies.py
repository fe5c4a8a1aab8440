"""The JSON of a request, read strictly: what cannot be stored, or is said twice, is refused by its place."""

import json
from collections.abc import Iterator
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from persona.lib.problems import Problem


class Doubled(dict[str, Any]):
    """An object in which a key stands more than once: which of its values was meant, nobody can say."""

    key = ""


class StrictJSONParser(JSONParser):
    """As the framework's own, but it remembers keys that stand twice."""

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        """The decoded body. Raises ParseError for what is no JSON in UTF-8."""
        try:
            return json.loads(stream.read().decode(), parse_constant=_no_constant, object_pairs_hook=_object)
        except ValueError as error:
            raise ParseError(str(error)) from error


class LabeledAnyhow(StrictJSONParser):
    """For what clients of other products send: JSON, whatever the Content-Type calls it."""

    media_type = "*/*"


def check(body: Any) -> None:
    """Raises Problem 400 request.key_repeated, request.null_character or request.text_invalid, with `path`."""
    for problem in _faults(body, ""):
        raise problem


def _faults(value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, str):
        yield from _of_text(value, path)
    elif isinstance(value, dict):
        if isinstance(value, Doubled):
            said = f"{path}: The key {value.key!r} stands twice in this object."
            yield Problem(400, "request.key_repeated", said, extra={"path": path})
        for key, inner in value.items():
            yield from _of_text(key, path)
            yield from _faults(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _faults(inner, f"{path}[{index}]")


def _of_text(text: str, path: str) -> Iterator[Problem]:
    if "\x00" in text:
        said = f"{path}: U+0000 cannot be stored; leave it out."
        yield Problem(400, "request.null_character", said, extra={"path": path})
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        said = f"{path}: This text has half of a surrogate pair, which is no character."
        yield Problem(400, "request.text_invalid", said, extra={"path": path})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    doubled, seen = Doubled(found), set[str]()
    for key, _ in pairs:
        if key in seen:
            doubled.key = key
        seen.add(key)
    return doubled


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
