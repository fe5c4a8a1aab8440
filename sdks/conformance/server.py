"""The server's part in the conformance cases: does what a case says, and remembers what it was sent.

Standard library alone. `with Scripted(case) as server:` listens on 127.0.0.1 at `server.url`; in the end there is
`server.seen`.
"""

import asyncio
import gzip
import json
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from answers import body_of, concerns, cors, drip, frame_text, head, refusal

INGEST, STREAM, CONFIG = "/api/v2/pipeline/ingest", "/api/v2/pipeline/stream", "/api/v2/pipeline/config"
HELD_SECONDS = 30.0  # how long a connection is held open for a client that does not close it
CORS = {
    "Access-Control-Allow-Headers": "authorization, content-type, content-encoding, last-event-id, if-none-match",
    "Access-Control-Allow-Methods": "GET, POST",
}
QUIET_CONFIG = {"flags": {"streaming": True, "sampleRate": 1.0}, "flushIntervalMs": 15000, "refreshAfter": 3600}


@dataclass
class Asked:
    """One request as it came."""

    at: float
    headers: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: Any = None
    packing: Any = None  # what compresses the stream that answers it


@dataclass
class Seen:
    """Everything a case is judged by. `answered` counts ingest requests that are over, however they ended."""

    ingest: list[Asked] = field(default_factory=list)
    stream: list[Asked] = field(default_factory=list)
    config: list[Asked] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    again: list[str] = field(default_factory=list)
    answered: int = 0
    strayed: int = 0  # requests of addresses that nobody gave to a client


class Scripted:
    """One server for one case."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.seen = Seen()
        self._scripts = {name: list(case.get(name, ())) for name in ("ingest", "stream", "config")}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connection, "127.0.0.1", 0), self._loop
        ).result(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        if self._server:
            self._server.close()
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    # --- HTTP ---

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # clients go when they like: that is what some cases are about; and the case may be over
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False when the connection is over."""
        first = (await reader.readline()).decode().split()
        if not first:
            return False
        method, target = first[0], urlsplit(first[1])
        headers = {}
        while line := (await reader.readline()).decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        raw = await body_of(reader, headers)
        asked = Asked(time.monotonic(), headers, parse_qs(target.query))
        if method == "OPTIONS":
            return await self._answer(writer, 204, None, asked, CORS)
        if target.path == "/seen":
            counts = {"requests": self.seen.answered, "asked": len(self.seen.ingest), "streams": len(self.seen.stream)}
            return await self._answer(writer, 200, counts, asked)
        if target.path == INGEST:
            return await self._ingest(writer, asked, raw)
        if target.path == STREAM:
            return await self._stream(writer, asked)
        if target.path == CONFIG:
            return await self._config(writer, asked)
        self.seen.strayed += 1
        return await self._answer(writer, 404, {"code": "not_found"}, asked)

    async def _answer(
        self, writer: asyncio.StreamWriter, status: int, body: Any, asked: Asked, more: Mapping[str, str] | None = None
    ) -> bool:
        content = b"" if body is None else json.dumps(body).encode()
        kind = "application/json" if status < 400 else "application/problem+json"
        return await self._send(writer, status, content, asked, {"Content-Type": kind, **(more or {})})

    async def _send(
        self, writer: asyncio.StreamWriter, status: int, content: bytes, asked: Asked, more: Mapping[str, str]
    ) -> bool:
        if more.get("Content-Encoding") == "gzip":
            content = gzip.compress(content)
        headers = {"Content-Length": str(len(content)), **cors(asked.headers), **more}
        writer.write(head(status, headers) + content)
        await writer.drain()
        return True

    # --- what a case scripts ---

    def _next(self, name: str, number: int) -> Mapping[str, Any]:
        script: Sequence[Mapping[str, Any]] = self._scripts[name]
        return script[min(number, len(script) - 1)] if script else {}

    async def _ingest(self, writer: asyncio.StreamWriter, asked: Asked, raw: bytes) -> bool:
        asked.body = json.loads(raw)
        self.seen.ingest.append(asked)
        step = self._next("ingest", len(self.seen.ingest) - 1)
        try:
            return await self._ingested(writer, asked, step)
        finally:
            self.seen.answered += 1

    async def _ingested(self, writer: asyncio.StreamWriter, asked: Asked, step: Mapping[str, Any]) -> bool:
        batch = asked.body["batch"]
        self.seen.again += [event["messageId"] for event in batch if event["messageId"] in self.seen.acknowledged]
        if step.get("cut"):
            if step["cut"] == "after":
                self._store(batch)
            return False
        if (over := await self._strange(writer, asked, step)) is not None:
            return over
        status = step.get("status", 202)
        if status != 202 and concerns(step, batch):
            return await self._refuse(writer, asked, step)
        rejected = [place for place in step.get("rejected", ()) if place < len(batch)]
        self._store([event for place, event in enumerate(batch) if place not in rejected])
        self.seen.acknowledged.update(event["messageId"] for event in batch)
        answer: dict[str, Any] = {"accepted": len(batch) - len(rejected), "batchId": f"b_{len(self.seen.ingest)}"}
        if rejected:
            answer["rejected"] = len(rejected)
            answer["errors"] = [refusal(place) for place in rejected]
        more = {"Content-Encoding": "gzip"} if step.get("gzip") else {}
        return await self._answer(writer, 202, step.get("answer", answer), asked, more)

    def _store(self, events: Sequence[dict[str, Any]]) -> None:
        known = {event["messageId"] for event in self.seen.stored}
        self.seen.stored += [event for event in events if event["messageId"] not in known]

    async def _refuse(self, writer: asyncio.StreamWriter, asked: Asked, step: Mapping[str, Any]) -> bool:
        status = step["status"]
        more = {"Retry-After": str(step["retryAfter"])} if "retryAfter" in step else {}
        body = {"status": status, "code": step.get("code", "refused"), "detail": "The case says so."}
        return await self._answer(writer, status, step.get("answer", body), asked, more)

    async def _strange(self, writer: asyncio.StreamWriter, asked: Asked, step: Mapping[str, Any]) -> bool | None:
        """What stands between a client and its server says so in its own words. None: the case has nothing of that."""
        page = {"Content-Type": step.get("type", "text/html")}
        if step.get("hang"):
            await asyncio.sleep(HELD_SECONDS)
        if "html" in step:
            content = str(step["html"]).encode() * step.get("times", 1)
            return await self._send(writer, step.get("status", 200), content, asked, page)
        if "redirect" in step:
            return await self._send(writer, step["redirect"], b"", asked, {"Location": "/elsewhere"})
        if "unzippable" in step:
            headers = {
                "Content-Encoding": "gzip",
                "Content-Length": str(len(step["unzippable"])),
                **cors(asked.headers),
            }
            writer.write(head(202, headers) + step["unzippable"].encode())
            return True
        if "bytes" in step:
            writer.write(step["bytes"].encode())
            await writer.drain()
            return False
        if "drip" in step:
            await drip(writer, cors(asked.headers), step["drip"] / 1000)
        return None

    async def _config(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        self.seen.config.append(asked)
        step = self._next("config", len(self.seen.config) - 1)
        if (over := await self._strange(writer, asked, step)) is not None:
            return over
        if step.get("status", 200) != 200:
            return await self._refuse(writer, asked, step)
        return await self._answer(writer, 200, step.get("body", QUIET_CONFIG), asked)

    async def _stream(self, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        self.seen.stream.append(asked)
        step = self._next("stream", len(self.seen.stream) - 1)
        if (over := await self._strange(writer, asked, step)) is not None:
            return over
        if "status" in step:
            return await self._refuse(writer, asked, step)
        headers = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **cors(asked.headers)}
        packed = {"Content-Encoding": "gzip"} if step.get("gzip") else {}
        asked.packing = zlib.compressobj(wbits=zlib.MAX_WBITS | 16) if packed else None
        writer.write(head(200, {**headers, **packed}))
        for frame in step.get("frames", ()):
            await self._frame(writer, asked, step, frame)
        if step.get("then", "hold") == "hold":
            await asyncio.sleep(HELD_SECONDS)
        if step.get("then") == "end":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        return False

    async def _frame(
        self, writer: asyncio.StreamWriter, asked: Asked, step: Mapping[str, Any], frame: Mapping[str, Any]
    ) -> None:
        if "pause" in frame:
            await asyncio.sleep(frame["pause"] / 1000)
            return
        content = frame_text(frame).replace("\n", step.get("newline", "\n")).encode()
        if asked.packing:
            content = asked.packing.compress(content) + asked.packing.flush(zlib.Z_SYNC_FLUSH)
        size = step.get("pieces", len(content))
        for start in range(0, len(content), size):
            piece = content[start : start + size]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0)
