"""The file of what was refused: one line of JSON a record, with its line in the imported file and what is wrong."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from persona.importing.portions import Refused

_record = msgspec.json.Decoder(Refused).decode


class Refusals:
    """Open while an import goes on; not there when nothing was refused. count: those of earlier runs included."""

    def __init__(self, path: Path, position: int, count: int) -> None:
        """position: how far an earlier run has come; what it wrote about later records is written again."""
        self.path, self.count = path, count
        self._file: IO[bytes] | None = None
        if path.exists():
            self._cut(position)

    def _cut(self, position: int) -> None:
        whole = [line for line in self.path.read_bytes().split(b"\n") if _is_before(line, position)]
        if not whole or position == 0:
            self.path.unlink()
        else:
            self.path.write_bytes(b"\n".join([*whole, b""]))

    def add(self, refused: Iterable[Refused]) -> None:
        for one in refused:
            if self._file is None:
                self._file = self.path.open("ab")
            self._file.write(msgspec.json.encode(one) + b"\n")
            self.count += 1

    def keep(self) -> None:
        """On the disk of whoever kills this process next."""
        if self._file is not None:
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def _is_before(line: bytes, position: int) -> bool:
    try:
        return _record(line).record <= position
    except msgspec.MsgspecError:
        return False  # half a line, of a process that was killed
