"""How a program of ours is started, and what its supervisor needs to know of it afterwards."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from persona.running.embedded import CannotStart, die_with_parent

ROOT = Path(__file__).resolve().parent.parent.parent  # where they all run


class NotYet(CannotStart):
    """What a program is made with is not there yet. Its absence says nothing about the program."""


class Process(Protocol):
    """A child of this process."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def terminate(self) -> None: ...


class Start(Protocol):
    """Make a process of a command: the interpreter, `-m` and a module or a file, and its words. stdin, stdout: open
    files; /dev/null unless given. Raises NotYet, CannotStart or OSError."""

    def __call__(
        self, command: Sequence[str], *, env: Mapping[str, str], stdin: int | None = None, stdout: int | None = None
    ) -> Process: ...


def alone(
    command: Sequence[str], *, env: Mapping[str, str], stdin: int | None = None, stdout: int | None = None
) -> Process:
    """A `Start`: an interpreter of its own, which imports everything anew."""
    # A session of its own: Ctrl-C reaches the supervisor alone, which then stops the children in order.
    # SIGKILL when the supervisor dies: what is acknowledged is on disk, and nothing may stay behind.
    return subprocess.Popen(
        command,
        env=env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.DEVNULL if stdout is None else stdout,
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )
