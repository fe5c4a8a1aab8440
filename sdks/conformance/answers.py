"""What goes over the wire in the conformance cases: heads, frames, and the words of errors."""

import asyncio
import gzip
import json
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import Any

REASONS = {200: "OK", 202: "Accepted", 204: "No Content", 304: "Not Modified"}


def frame_text(frame: Mapping[str, Any]) -> str:
    if "raw" in frame:
        return str(frame["raw"]) * int(frame.get("times", 1))
    lines = [f"{name}: {frame[name]}\n" for name in ("id", "event") if name in frame]
    return "".join(lines) + f"data: {json.dumps(frame.get('data', {}), ensure_ascii=False)}\n\n"


async def drip(writer: asyncio.StreamWriter, origin: Mapping[str, str], seconds: float) -> None:
    """An answer that begins like one of ours, goes on, a byte at a time, and has no end."""
    writer.write(head(202, {"Content-Type": "application/json", "Content-Length": "100000000", **origin}))
    for byte in chain(b'{"accepted": 1', repeat(ord(" "))):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(seconds)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {REASONS.get(status, 'Refused')}\r\n{lines}\r\n".encode()


def cors(headers: Mapping[str, str]) -> dict[str, str]:
    """That the page which asks may read the answer."""
    origin = headers.get("origin")
    exposed = {"Access-Control-Expose-Headers": "Retry-After, ETag", "Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, **exposed} if origin else {}


def concerns(step: Mapping[str, Any], batch: Sequence[Mapping[str, Any]]) -> bool:
    """Does the refusal hold for this batch?"""
    if "most" in step:
        return len(batch) > int(step["most"])
    if "about" in step:
        return any(event.get("event") == step["about"] for event in batch)
    return True


def refusal(place: int) -> dict[str, Any]:
    return {"index": place, "code": "event.field_missing", "field": "event", "detail": "The case says so."}


async def body_of(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        content = b""
        while size := int((await reader.readline()).strip(), 16):
            content += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        content = await reader.readexactly(int(headers.get("content-length", 0)))
    return gzip.decompress(content) if headers.get("content-encoding") == "gzip" else content
