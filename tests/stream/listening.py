"""A client of the stream that reads as the standard says, and checks the exact form of every frame."""

import http.client
import json
import re
from typing import Any, NamedTuple, Self

from tests.stream.serving import DEADLINE

FRAME = re.compile(r"id: (\d+)\nevent: ([a-z.]+)\ndata: (\{.*\})")


class Frame(NamedTuple):
    id: int
    event: str
    data: dict[str, Any]


def parse(block: str) -> Frame | None:
    """One block of the stream; None for comments and `retry`."""
    if block.startswith((":", "retry: ")):
        return None
    match = FRAME.fullmatch(block)
    assert match, f"not a frame: {block!r}"
    return Frame(int(match[1]), match[2], json.loads(match[3]))


class Listening:
    """An open response, or the refusal."""

    def __init__(
        self,
        port: int,
        key: str | None,
        query: str = "",
        *,
        last: int | str | None = None,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        if last is not None:
            sent["Last-Event-ID"] = str(last)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        self.connection.request(method, f"/api/v2/pipeline/stream{query}", body, {**sent, **(headers or {})})
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.headers = self.response.headers

    def problem(self) -> dict[str, Any]:
        """The problem document of a refusal."""
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.response.read())
        assert document["status"] == self.status
        return document

    def frame(self) -> Frame | None:
        """The next frame of any kind; None at the clean end of the response."""
        while True:
            lines: list[str] = []
            while (line := self.response.readline().decode()) not in ("", "\n"):
                lines.append(line.rstrip("\n"))
            if not line:
                assert not lines, f"the response ended inside a frame: {lines}"
                return None
            if (frame := parse("\n".join(lines))) is not None:
                return frame

    def next(self, event: str = "segment.updated") -> Frame:
        """The next frame of one kind; others are passed over."""
        while (frame := self.frame()) is not None:
            if frame.event == event:
                return frame
        raise AssertionError(f"the stream ended before a {event}")

    def take(self, count: int) -> list[Frame]:
        """The next `count` changes."""
        return [self.next() for _ in range(count)]

    def ended(self) -> bool:
        """Reads on until the clean end."""
        while self.frame() is not None:
            pass
        return True

    def close(self) -> None:
        self.response.close()
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
