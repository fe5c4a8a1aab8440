"""The least HTTP that raw ASGI routes need: an answer, reading a body, CORS. Nothing here knows a wire."""

import random
import re
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

import msgspec

from persona.lib.problems import Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = "application/json"
MOST_MEMBERS = 64  # of a gzip body: each costs a copy of what follows it
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

ALLOWED_HEADERS = (
    "authorization, content-type, content-encoding, last-event-id, x-retry-count, x-api-key, x-pg-api-key, "
    "x-request-id, idempotency-key, if-none-match, cache-control"
)
EXPOSED_HEADERS = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id, ETag"


class Answer(msgspec.Struct, frozen=True):
    """A finished response: status, body, media type and further headers (names in lower case)."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    def having(self, *headers: tuple[str, str]) -> "Answer":
        """The same answer with more headers."""
        if not headers:
            return self
        return Answer(self.status, self.body, self.media_type, (*self.headers, *headers))


def problem_answer(problem: Problem) -> Answer:
    """RFC 9457, the rendering of our own API."""
    body, media_type = problem.rendered()
    return Answer(problem.status, body, media_type, problem.header_lines())


def request_id(given: str | None) -> str:
    """The caller's id if it is sane, else a new one."""
    if given and _SANE_REQUEST_ID.fullmatch(given):
        return given
    return f"req_{random.getrandbits(80):020x}"  # unique, no secret, and made for every request


def identity(answer: Answer, given: str | None) -> tuple[tuple[str, str], ...]:
    """The request id as a header, unless the answer has been given one: that of a failure stands in the log already."""
    if answer.status == 500 and any(name == "x-request-id" for name, _ in answer.headers):
        return ()
    return (("x-request-id", request_id(given)),)


def cors(origin: str | None) -> tuple[tuple[str, str], ...]:
    """Headers that let a page of `origin` read the answer. Never `*`: some clients send credentials."""
    if not origin:
        return ()
    return (
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", EXPOSED_HEADERS),
        ("vary", "Origin"),
    )


def preflight(origin: str | None, methods: str) -> Answer:
    """The answer to an OPTIONS request; it carries no key, so any Origin is reflected."""
    return Answer(
        204,
        headers=(
            *cors(origin),
            ("access-control-allow-methods", methods),
            ("access-control-allow-headers", ALLOWED_HEADERS),
            ("access-control-max-age", "7200"),
        ),
    )


class Repeated(dict[str, str]):
    """The headers of a connection that sends the same ones with each request. credential: what was recognized in them,
    by whoever asked first."""

    credential: object = None


def header_map(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """ASGI's header pairs as a dict, names in lower case. The last of repeated names wins."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}


class TooLarge(Exception):
    """More bytes than the limit, before or after inflating."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole request body, at most `limit` bytes. Raises TooLarge, or ConnectionError if the client left."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left before its request was complete")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def inflate(body: bytes, encoding: str | None, limit: int) -> bytes:
    """Undo `Content-Encoding: gzip|deflate`, never making more than `limit` bytes.

    Raises TooLarge; Problem 415 for another encoding; Problem 400 for a broken one.
    """
    name = encoding.strip().lower() if encoding else ""
    if name in ("identity", ""):
        return body
    if name not in ("gzip", "x-gzip", "deflate"):
        raise Problem(415, "request.encoding", f"Content-Encoding {name!r} is not known here. Use gzip or none.")
    parts: list[bytes] = []
    rest, room = body, limit + 1
    while rest or not parts:  # a gzip body may be several, one behind the other
        if len(parts) == MOST_MEMBERS:
            raise Problem(400, "request.encoding_broken", f"The {name} body consists of too many parts.")
        worker = zlib.decompressobj(wbits=47 if name != "deflate" else 15)  # 47: gzip or zlib header, detected
        try:
            parts.append(worker.decompress(rest, room))
        except zlib.error:
            raise Problem(400, "request.encoding_broken", f"The body is not valid {name}.") from None
        room -= len(parts[-1])
        if room <= 0:
            raise TooLarge
        if not worker.eof:
            raise Problem(400, "request.encoding_broken", f"The {name} body ends too early.")
        rest = worker.unused_data
    return b"".join(parts)


async def send_answer(
    send: Send, answer: Answer, more: Iterable[tuple[str, str]] = (), always: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Write `answer`, with `more` headers and those of all answers, to the connection."""
    headers = [
        (b"content-type", answer.media_type.encode("latin-1")),
        (b"content-length", str(len(answer.body)).encode("latin-1")),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in (*answer.headers, *more)),
        *always,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """Header lines as they are sent. What would break out of its line is left out."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers if not _CONTROL.search(value)).encode("latin-1")


def bearer(headers: Mapping[str, str]) -> str | None:
    """The value of `Authorization: Bearer ...`, or None."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None
