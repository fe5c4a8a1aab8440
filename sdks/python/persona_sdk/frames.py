"""Server-sent events, as the HTML standard defines them: bytes in, frames out."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from persona_sdk.options import MOST_ANSWER


@dataclass
class Frame:
    """`id` is None when the frame had none."""

    event: str = "message"
    data: str = ""
    id: str | None = None


END = re.compile(r"\r\n|\n|\r(?=.)", re.DOTALL)


class EndlessFrame(ValueError):
    """More than any frame of the server's holds, and no end of it."""


class Parser:
    """Feed it pieces of any size. A frame that no empty line has ended is never given."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._text = ""
        self._lines: list[str] = []
        self._held = 0  # letters in them

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """Raises EndlessFrame."""
        for line in self._whole(self._decode(piece)):
            self._held += len(line)
            if line:
                self._lines.append(line)
            elif self._lines:
                yield _frame(self._lines)
                self._lines, self._held = [], 0
        if self._held + len(self._text) > MOST_ANSWER:
            raise EndlessFrame

    def _whole(self, text: str) -> list[str]:
        """The lines that `text` completes, ended by LF, CR LF or CR; a CR at the very end may be half of the first."""
        seen = max(len(self._text) - 1, 0)  # no end in what was there, but for such a CR
        self._text += text
        start, lines = 0, []
        for end in END.finditer(self._text, seen):
            lines.append(self._text[start : end.start()])
            start = end.end()
        self._text = self._text[start:]
        return lines


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
    frame.data = "\n".join(data)
    return frame
