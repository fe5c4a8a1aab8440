"""Cut a JSON text into the raw texts of its parts, whatever the parts hold.

For texts that a strict decoder refuses as a whole because of one part: half a surrogate pair, NaN, bytes that are no
UTF-8, or nesting deep enough to exhaust the stack. Linear in the size of the text, and never recursive.
"""

import json
import re

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(_STRING + rb'|["\[\]{},]', re.DOTALL)
_MEMBER = re.compile(rb"\s*(" + _STRING + rb")\s*:(.*)", re.DOTALL)
_SPACE = b" \t\r\n"


def elements(text: bytes) -> list[bytes] | None:
    """The raw elements of a JSON array, or None when it is not one."""
    return _pieces(text.strip(_SPACE), b"[", b"]")


def members(text: bytes) -> dict[str, bytes] | None:
    """The raw members of a JSON object, or None when it is not one. The last of repeated keys wins."""
    pieces = _pieces(text.strip(_SPACE), b"{", b"}")
    if pieces is None:
        return None
    found: dict[str, bytes] = {}
    for piece in pieces:
        match = _MEMBER.fullmatch(piece)
        if match is None:
            return None
        found[_key(match[1])] = match[2].strip(_SPACE)
    return found


def lenient(text: bytes) -> bool:
    """Whether it is JSON but for surrogates, NaN, Infinity, UTF-8, the size of numbers or the depth of nesting."""
    try:
        json.loads(text.decode("utf-8", "replace"))
    except json.JSONDecodeError:
        return False
    except (ValueError, RecursionError):  # a number of thousands of digits; thousands of brackets
        return True
    return True


def _key(string: bytes) -> str:
    try:
        return str(json.loads(string.decode("utf-8", "replace")))
    except json.JSONDecodeError:
        return string.decode("latin-1")  # a key nobody asks for


def _pieces(text: bytes, opening: bytes, closing: bytes) -> list[bytes] | None:
    """What stands between the commas of the outermost brackets; None unless `text` is one bracketed whole."""
    if text[:1] != opening or text[-1:] != closing:
        return None
    pieces: list[bytes] = []
    depth, start = 0, 1
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                pieces.append(text[start : token.start()])
                return _checked(pieces) if token.end() == len(text) else None
        elif mark == b"," and depth == 1:
            pieces.append(text[start : token.start()])
            start = token.end()
        elif mark == b'"':
            return None  # a string without an end
    return None


def _checked(pieces: list[bytes]) -> list[bytes] | None:
    """`[]` has no piece; an empty piece beside others is a comma too many."""
    stripped = [piece.strip(_SPACE) for piece in pieces]
    if stripped == [b""]:
        return []
    return stripped if all(stripped) else None
