"""Server-sent events, as the HTML standard defines them: bytes in, frames out."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Frame:
    """`id` is None when the frame had none; `retry` likewise, in milliseconds."""

    event: str = "message"
    data: str = ""
    id: str | None = None
    retry: int | None = None


class Parser:
    """Feed it pieces of any size. A frame that no empty line has ended is never given."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._text = ""
        self._lines: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Frame]:
        self._text += self._decode(piece)
        while (line := self._line()) is not None:
            if line:
                self._lines.append(line)
            elif self._lines:
                yield _frame(self._lines)
                self._lines = []

    def _line(self) -> str | None:
        """The next whole line, ended by LF, CR LF or CR; a CR at the very end may be half of the second."""
        ends = [at for at in (self._text.find("\n"), self._text.find("\r")) if at >= 0]
        if not ends or (self._text[min(ends)] == "\r" and min(ends) == len(self._text) - 1):
            return None
        at = min(ends)
        line = self._text[:at]
        self._text = self._text[at + (2 if self._text[at : at + 2] == "\r\n" else 1) :]
        return line


def _frame(lines: list[str]) -> Frame:
    frame, data = Frame(), []
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            frame.event = value
        elif name == "id" and "\0" not in value:
            frame.id = value
        elif name == "retry" and value.isdecimal():
            frame.retry = int(value)
    frame.data = "\n".join(data)
    return frame
