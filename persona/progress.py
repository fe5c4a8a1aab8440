"""A bar on a terminal, a line every tenth elsewhere."""

import sys
from typing import TextIO

BAR = 30  # characters


class Progress:
    """Called from several threads; a late figure does no harm."""

    def __init__(self, total: int, out: TextIO | None = None) -> None:
        self.total, self._shown, self._out = max(total, 1), -1, out or sys.stderr

    def show(self, done: int, text: str) -> None:
        """`done` of the total, and what there is to say about it; shown when the bar has grown."""
        terminal = self._out.isatty()
        step = min(done, self.total) * (100 if terminal else 10) // self.total
        if step == self._shown:
            return
        self._shown = step
        filled = min(done, self.total) * BAR // self.total
        end = "\r" if terminal and done < self.total else "\n"
        print(f"[{'#' * filled}{'.' * (BAR - filled)}] {text}", end=end, file=self._out, flush=True)
