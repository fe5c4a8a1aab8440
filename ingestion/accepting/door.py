"""The way in and out of one route, the same through raw ASGI and through Django: Host, method, CORS, size, request id.

A door knows HTTP and no wire; what stands behind it answers with an Answer, or a future of one.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import lru_cache
from typing import ClassVar

import msgspec
from django.http.request import split_domain_port, validate_host

from ingestion.accepting.caller import Headers, Reply, lookup_of
from keys.installation import installation
from persona.lib import wire
from persona.lib.landing import landed
from persona.lib.log import get_logger
from persona.lib.problems import Problem
from persona.lib.wire import Answer, Receive, Scope, Send

log = get_logger(__name__)

PATIENCE = 30.0  # seconds for what stands behind the door
READING = 30.0  # seconds for a body to arrive: who sends a byte a minute holds a connection, and memory

# What Django's middleware puts on a page, in the form that suits an answer which is never a page.
SAFE = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
)
SAFE_LINES = tuple((name.encode(), value.encode()) for name, value in SAFE)


class Door(msgspec.Struct, frozen=True):
    """One route. behind(headers, body): the answer; refused: the wire's form of a problem found at the door;
    body_bytes: the most that is read; too_large: the problem of a body beyond that; keyed: it is about keys, and one
    that is not in memory is looked up first."""

    methods: tuple[str, ...]
    behind: Callable[[Headers, bytes], Reply]
    refused: Callable[[Problem], Answer] = wire.problem_answer
    body_bytes: int = 0
    too_large: Callable[[], Problem] = lambda: Problem(400, "request.too_large", "Nothing is expected in the body.")
    keyed: bool = True
    always: ClassVar[bytes] = wire.lines(SAFE)
    patience: ClassVar[float] = PATIENCE

    @property
    def allowed(self) -> str:
        return ", ".join((*self.methods, "OPTIONS"))

    def turned_away(self, method: str, headers: Headers) -> Answer | None:
        """The answer to a request that need not be read: a preflight, or one that cannot be right."""
        try:
            if not _is_ours(headers.get("host", ""), installation().hosts):
                detail = "This server does not answer to that Host. See PERSONA_ALLOWED_HOSTS."
                raise Problem(400, "request.host", detail)
            if method == "OPTIONS":
                return wire.preflight(headers.get("origin"), self.allowed)
            if method not in self.methods:
                detail = f"Only {self.allowed} here."
                raise Problem(405, "request.method", detail, headers=(("allow", self.allowed),))
            if _declared(headers) > self.body_bytes:
                raise self.too_large()
        except Problem as problem:
            return self._signed(self.refused(problem), headers)
        return None

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application of this route."""
        headers = wire.header_map(scope["headers"])
        answer = self.turned_away(scope["method"], headers)
        if answer is None:
            try:
                async with asyncio.timeout(READING):
                    body = await wire.read_body(receive, self.body_bytes)
            except TimeoutError:
                answer = self._signed(self.refused(_too_slow()), headers)
            except wire.TooLarge:
                answer = self._signed(self.refused(self.too_large()), headers)
            except ConnectionError:
                return  # nobody is there to be answered
            else:
                answer = await self.answer(headers, body)
        await wire.send_answer(send, answer, wire.identity(answer, headers.get("x-request-id")), SAFE_LINES)

    async def answer(self, headers: Headers, body: bytes) -> Answer:
        """The answer to a request that was let in; for event loops."""
        try:
            if self.keyed and (caller := lookup_of(headers)) is not None:
                await landed(caller, PATIENCE)
        except Exception as error:  # as in `begun`
            return self._ended_by(error, headers)
        reply = self.begun(headers, body)
        if isinstance(reply, Answer):
            return reply
        try:
            return self._signed(await landed(reply, PATIENCE), headers)
        except Exception as error:  # as in `begun`
            return self._ended_by(error, headers)

    def answer_here(self, headers: Headers, body: bytes) -> Answer:
        """The same for threads that may wait."""
        if len(body) > self.body_bytes:
            return self._signed(self.refused(self.too_large()), headers)
        try:
            if self.keyed and (caller := lookup_of(headers)) is not None:
                caller.result(PATIENCE)
        except Exception as error:  # as in `begun`
            return self._ended_by(error, headers)
        reply = self.begun(headers, body)
        return reply if isinstance(reply, Answer) else self.ended(reply, headers, PATIENCE)

    def begun(self, headers: Headers, body: bytes) -> Reply:
        """The answer, or what becomes the argument of `ended`. Does not wait, raises nothing."""
        try:
            reply = self.behind(headers, body)
        except Exception as error:  # the last resort: an answer in the wire's form, never a dropped connection
            return self._ended_by(error, headers)
        return self._signed(reply, headers) if isinstance(reply, Answer) else reply

    def ended(self, reply: Future[Answer], headers: Headers, seconds: float = 0) -> Answer:
        """The answer that a reply has become, if it does within so many seconds."""
        try:
            return self._signed(reply.result(seconds), headers)
        except Exception as error:  # as in `begun`
            return self._ended_by(error, headers)

    def _ended_by(self, error: Exception, headers: Headers) -> Answer:
        answer = self.refused(error) if isinstance(error, Problem) else self._failed(error, headers)
        return self._signed(answer, headers)

    def _failed(self, error: Exception, headers: Headers) -> Answer:
        if isinstance(error, TimeoutError):
            log.warning("request.unanswered", seconds=PATIENCE)
            detail = "There was no answer in time; whether it was done is not known. Try again."
            return self.refused(Problem(503, "service.slow", detail, retry_after=2))
        return _logged(
            self.refused(Problem(500, "internal", "The fault is ours. The request id leads to the log.")),
            headers,
            error,
        )

    def _signed(self, answer: Answer, headers: Headers) -> Answer:
        """Readable by the page that asked, refusals included; the preflight says so itself."""
        if answer.status == 500:
            answer = _logged(answer, headers)
        origin = headers.get("origin")
        if not origin or any(name == "access-control-allow-origin" for name, _ in answer.headers):
            return answer
        return answer.having(*wire.cors(origin))


def _logged(answer: Answer, headers: Headers, error: Exception | None = None) -> Answer:
    """A failure of ours with the request id under which the log has it, once."""
    if any(name == "x-request-id" for name, _ in answer.headers):
        return answer
    request_id = wire.request_id(headers.get("x-request-id"))
    log.error("request.failed", exc_info=error, request_id=request_id)
    return answer.having(("x-request-id", request_id))


def _too_slow() -> Problem:
    detail = f"The body did not arrive within {READING:.0f} s. Nothing of it was taken."
    return Problem(408, "request.timeout", detail, headers=(("connection", "close"),))


def _declared(headers: Headers) -> int:
    """What Content-Length says; 0 when it says nothing of use."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


@lru_cache(maxsize=1_000)
def _is_ours(host: str, allowed: Iterable[str]) -> bool:
    """What Django's handler would ask."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)
