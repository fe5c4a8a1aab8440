"""`manage.py` commands beside an installation, as its operator types them: each in a process of its own.

What they all import takes seconds of a processor, so one process imports it and each command is a fork of that. How one
begins that nobody has prepared is for tests/runtime/test_commands.py.
"""

import gc
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import IO

import django
import msgspec

from persona.running.embedded import die_with_parent
from persona.running.starting import ROOT

MOST_BYTES = 10_000  # of a command's words


class Typed:
    """A command that has been started."""

    def __init__(self, words: tuple[str, ...], said: IO[bytes], complained: IO[bytes], fate: IO[str]) -> None:
        self.pid = int(fate.readline())
        self._words, self._said, self._complained, self._fate = words, said, complained, fate

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def ended(self) -> subprocess.CompletedProcess[str]:
        """Waits for its end."""
        with self._fate, self._said, self._complained:
            code = int(self._fate.readline())
            return subprocess.CompletedProcess(self._words, code, _content(self._said), _content(self._complained))


class Desk:
    """Where commands are typed, one after the other. environment: all of it, for each of them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.desk"],
                cwd=ROOT,
                env=environment,
                stdin=theirs.fileno(),
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    def start(self, *words: str, given: str = "") -> Typed:
        """Returns when it has a process. given: what is on its stdin."""
        stdin, said, complained = (tempfile.TemporaryFile() for _ in range(3))  # noqa: SIM115 - two outlive this
        stdin.write(given.encode())
        stdin.seek(0)
        ours, theirs = os.pipe()
        try:
            files = [stdin.fileno(), said.fileno(), complained.fileno(), theirs]
            socket.send_fds(self._line, [msgspec.json.encode(words)], files)
        finally:
            os.close(theirs)
            stdin.close()
        return Typed(words, said, complained, os.fdopen(ours))

    def close(self) -> None:
        self._line.close()
        self._process.kill()
        self._process.wait()


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def main() -> None:
    """The process that is forked, and every fork."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "persona.settings")
    django.setup()
    gc.freeze()
    sys.argv = ["manage.py", *_serve(socket.socket(fileno=os.dup(0)))]
    runpy.run_path("manage.py", run_name="__main__")


def _serve(line: socket.socket) -> list[str]:
    """As long as somebody may type. Returns in a child, with the words of its command."""
    while True:
        said, files, _, _ = socket.recv_fds(line, MOST_BYTES, 4)
        if not said:
            sys.exit()
        child = os.fork()
        if child == 0:
            line.close()
            for number, file in enumerate(files[:3]):
                os.dup2(file, number)
            for file in files:
                os.close(file)
            return msgspec.json.decode(said, type=list[str])
        for file in files[:3]:
            os.close(file)
        with os.fdopen(files[3], "w") as fate:
            print(child, file=fate, flush=True)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=fate)


if __name__ == "__main__":
    main()
