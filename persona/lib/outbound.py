"""HTTP to addresses that strangers chose. One thread and event loop a process, bounded in time, memory and connections.

What is connected to is checked on the socket itself, after every lookup of the name, so that no name can lead inside
by changing its mind. Redirects are not followed, no proxy or cookie is used, and of an answer only the first bytes
are read.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiohttp.connector import Connection

from persona.lib.addresses import is_public

SECONDS = 10.0  # for a whole request, however slowly the answer drips
# Open at once, to all. A bound for accidents: who waits here for a connection loses time of its own request, so that
# callers have to ask for fewer by themselves.
CONNECTIONS = 600
IDLE_SECONDS = 2.0  # less than servers wait before they close a connection that nobody uses
ANSWER_BYTES = 64 * 1024  # read of an answer, unless the request says otherwise; more cuts the connection
INTERIM = 20  # answers that are not the answer yet (1xx); an endless line of them costs a processor
LOOKUPS = 128  # names looked up at once: a name server that does not answer holds a thread for half a minute

T = TypeVar("T")
AddrInfo = tuple[Any, Any, int, str, tuple[Any, ...]]


class Refused(OSError):
    """The name leads to an address inside."""


class Endless(aiohttp.ClientError):
    """An answer is announced again and again, and does not come."""


class Final(aiohttp.ClientResponse):
    """A response that a receiver may announce, but not for ever. aiohttp by itself passes over any number of 1xx."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        protocol: Any = connection.protocol  # whose `read` gives the heads of responses, one after the other
        read, seen = protocol.read, 0

        async def counted() -> Any:
            nonlocal seen
            seen += 1
            if seen > INTERIM:
                raise Endless
            return await read()

        protocol.read = counted
        try:
            return await super().start(connection)
        finally:
            del protocol.read


class Request(msgspec.Struct, frozen=True):
    """A POST. answer_bytes: how much of its answer is worth reading."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    answer_bytes: int = ANSWER_BYTES


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. status: 0 if nothing did, and then `error` says why; ms: how long it took."""

    status: int = 0
    body: bytes = b""
    retry_after: int | None = None  # seconds, if the receiver asked for them
    ms: int = 0
    error: str = ""


Post = Callable[[Request], Awaitable[Answer]]


class Outbound:
    """A client of this process. allow_private: also talk to private and local addresses."""

    def __init__(self, *, allow_private: bool, seconds: float = SECONDS) -> None:
        self._allow_private = allow_private
        self._seconds = seconds
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None

    def run(self, work: Callable[[Post], Coroutine[Any, Any, T]]) -> Future[T]:
        """Start `work(post)` on the client's loop. Callable from any thread."""
        return asyncio.run_coroutine_threadsafe(work(self._post), self._started())

    def post(self, request: Request) -> Answer:
        """One request; waits for its answer."""

        async def alone(post: Post) -> Answer:
            return await post(request)

        return self.run(alone).result()

    def close(self) -> None:
        """End the thread; a later request starts another."""
        with self._lock:
            if self._loop is None:
                return
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(self._seconds)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_default_executor(ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup"))
                threading.Thread(target=self._loop.run_forever, name="outbound", daemon=True).start()
            return self._loop

    async def _post(self, request: Request) -> Answer:
        started = time.monotonic()

        def took() -> int:
            return round((time.monotonic() - started) * 1000)

        try:
            async with asyncio.timeout(self._seconds):
                return msgspec.structs.replace(await self._ask(request), ms=took())
        except TimeoutError:
            return Answer(ms=took(), error=f"No whole answer within {self._seconds:g} s.")
        except aiohttp.InvalidURL:
            return Answer(ms=took(), error="The address is not one.")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(ms=took(), error=_reason(error))

    async def _ask(self, request: Request) -> Answer:
        session = self._session = self._session or self._opened()
        asked = session.post(request.url, data=request.body, headers=request.headers, allow_redirects=False)
        async with asked as response:
            body = await _first(response.content, request.answer_bytes)
            if not response.content.at_eof():
                response.close()  # the rest is not wanted, nor is the connection that it would come on
            return Answer(status=response.status, body=body, retry_after=_seconds(response.headers.get("Retry-After")))

    def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS,
            limit_per_host=0,  # one host may be the receiver of many, who do not wait for each other
            keepalive_timeout=IDLE_SECONDS,
            socket_factory=self._socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            response_class=Final,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a small answer stays small
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            trust_env=False,
        )

    def _socket(self, info: AddrInfo) -> socket.socket:
        """The socket for an address that is about to be connected to. Raises Refused."""
        family, kind, protocol, _, name = info
        if not self._allow_private and not is_public(str(name[0])):
            raise Refused("private address")
        return socket.socket(family, kind, protocol)

    async def _end(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _first(content: aiohttp.StreamReader, most: int) -> bytes:
    parts: list[bytes] = []
    room = most
    while room and (part := await content.read(room)):
        parts.append(part)
        room -= len(part)
    return b"".join(parts)


def _seconds(given: str | None) -> int | None:
    """Retry-After in seconds; a date is not worth the trouble."""
    return int(given) if given is not None and given.isascii() and given.isdigit() and len(given) < 9 else None


def _reason(error: Exception) -> str:
    """For a person, without the address, which may carry a credential."""
    inner: OSError = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else OSError(str(error))
    if isinstance(inner, Refused) or "private address" in str(inner):
        return "The name leads to a private address, which is not allowed here."
    if isinstance(error, Endless):
        return "It announced an answer again and again (1xx) and gave none."
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "The certificate is not valid for this name."
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "The name cannot be resolved."
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"No connection: {os.strerror(inner.errno) if inner.errno else type(inner).__name__}."
    return f"The connection broke: {type(error).__name__}."
