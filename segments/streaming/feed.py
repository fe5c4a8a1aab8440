"""What one process remembers of one project's log: the newest frames, encoded once for all of its streams."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from persona.lib import clock, sse, tracing
from segments.log import LogRow

RING = 4_096  # frames kept; a stream further behind reads the table
PIECE = 256  # rows looked at for one write: 64 KB at most goes into a socket at once
PIECES = 256  # joined pieces kept: readers choose cursor and filter, and in a quiet project nothing else clears them


class View(NamedTuple):
    """What a stream shows. personas: their ids, None for all; profile_id: of the only one it is about, None for all."""

    personas: frozenset[int] | None = None
    profile_id: int | None = None

    def shows(self, frame: "Framed") -> bool:
        return (self.personas is None or frame.persona_id in self.personas) and (
            self.profile_id is None or frame.profile_id == self.profile_id
        )


class Piece(NamedTuple):
    """A stream's next bytes, as a chunk of HTTP or empty: when they are written it has been served up to `to`;
    `changes` counts segment.updated."""

    to: int
    chunk: bytes
    changes: int

    @property
    def body(self) -> bytes:
        """The bytes without the chunk's size and line ends."""
        return self.chunk[self.chunk.index(b"\r\n") + 2 : -2] if self.chunk else b""


class Framed(NamedTuple):
    """A row of the log as it goes over the wire; silent rows are empty."""

    persona_id: int
    profile_id: int
    wire: bytes


class _Data(msgspec.Struct):
    profile: str
    persona: str
    op: str
    at: str
    cause: str
    version: int


def chunked(body: bytes) -> bytes:
    """A chunk of HTTP/1.1; no body is no chunk, because an empty one would be the end."""
    return b"%x\r\n%b\r\n" % (len(body), body) if body else b""


def framed(row: LogRow) -> Framed:
    """The frame of one row."""
    if row.silent:
        return Framed(row.persona_id, row.profile_id, b"")
    data = _Data(row.profile, row.persona, row.op, clock.rfc3339(row.at), row.cause, row.version)
    wire = sse.frame(row.seq, "segment.updated", msgspec.json.encode(data).decode())
    return Framed(row.persona_id, row.profile_id, wire)


def heartbeat(cursor: int) -> Piece:
    """Takes no number of its own: to resume from it misses nothing and repeats nothing."""
    return Piece(cursor, chunked(sse.frame(cursor, "heartbeat", "{}")), 0)


def reset(oldest: int, head: int) -> Piece:
    """The cursor leads nowhere: what the reader has is no copy any more. It goes on from the oldest kept row."""
    data = msgspec.json.encode({"oldest": oldest, "head": head}).decode()
    return Piece(oldest - 1, chunked(sse.frame(oldest - 1, "reset", data)), 0)


def joined(frames: Iterable[Framed], view: View, to: int) -> Piece:
    """One piece of those frames that the view shows."""
    wires = [frame.wire for frame in frames if frame.wire and view.shows(frame)]
    return Piece(to, chunked(b"".join(wires)), len(wires))


class Feed:
    """The ring. `cursor`: everything up to it was read; what is above `floor` is still here."""

    def __init__(self, project_id: int) -> None:
        self.project_id = project_id
        self.cursor = self.floor = 0
        self._frames: dict[int, Framed] = {}
        # Most streams stand at the same place and want the same: their bytes are joined once.
        self._pieces: dict[tuple[int, View], Piece] = {}

    def restart(self, head: int) -> None:
        """Forget everything; begin after `head`."""
        self.cursor = self.floor = head
        self._frames.clear()
        self._pieces.clear()

    def extend(self, rows: Iterable[LogRow]) -> None:
        """Append what was read after `cursor`, in order."""
        for row in rows:
            self._frames[row.seq] = framed(row)
            if row.trigger is not None and tracing.on():
                tracing.tell([bytes.fromhex(row.trigger)], "frame.send", began=row.at, seq=row.seq, op=row.op)
            self.cursor = row.seq
        while self.cursor - self.floor > RING:
            self.floor += 1
            self._frames.pop(self.floor, None)
        self._pieces.clear()

    def piece(self, cursor: int, view: View) -> Piece:
        """What comes after `cursor` (which is not below the floor), at most PIECE rows."""
        piece = self._pieces.get((cursor, view))
        if piece is None:
            to = min(self.cursor, cursor + PIECE)
            frames = [self._frames[seq] for seq in range(cursor + 1, to + 1) if seq in self._frames]
            if len(self._pieces) >= PIECES:
                self._pieces.clear()
            piece = self._pieces[cursor, view] = joined(frames, view, to)
        return piece
