"""A process that has imported everything and forks our programs: they start at once, and share what they all import.

The supervisor's side, without Django; the other is `manage.py nursery`. A program that was asked for is a child of the
supervisor itself, so that nothing which runs depends on the nursery: it may die, and is started again. Only Linux has
what that takes.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from persona.running.embedded import CannotStart, die_with_parent
from persona.running.starting import ROOT, NotYet, Process

POSSIBLE = sys.platform == "linux"
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 10.0  # seconds for a fork, which takes some milliseconds
READY = b"ready"
ROOM = " " * 500  # a program's words are written over those of the nursery, which must not be fewer


class Order(msgspec.Struct, frozen=True):
    """What to become. words: what follows the interpreter on a command line; env: to be added to one's own; parent:
    whose child to be."""

    words: list[str]
    env: dict[str, str]
    parent: int


class Nursery:
    """A part of the supervisor's. Its method `run` is a `Start`."""

    name = "nursery"

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._seen_ready = False
        # Orphans become children of this process, programs that the nursery has made among them.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        self._seen_ready = False
        self._hang_up()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "nursery", str(theirs.fileno()), ROOM],
                env=self._env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    def ended(self) -> int | None:
        code = self._process.poll() if self._process else None
        if code is not None:
            self._process = None
        return code

    def is_ready(self) -> bool:
        if not self._seen_ready and self._line and select.select([self._line], [], [], 0)[0]:
            self._seen_ready = self._line.recv(len(READY)) == READY
        return self._seen_ready

    def wait(self) -> bool:
        """Until it is ready; or False when it has ended instead, and has said why."""
        if self._line and not self._seen_ready:
            select.select([self._line], [], [])
        return self.is_ready()

    def run(
        self, command: Sequence[str], *, env: Mapping[str, str], stdin: int | None = None, stdout: int | None = None
    ) -> Process:
        if self._line is None or not self.is_ready():
            raise NotYet("the nursery is not there")
        more = {name: value for name, value in env.items() if os.environ.get(name) != value}
        order = msgspec.json.encode(Order(list(command[1:]), more, os.getpid()))
        with Path(os.devnull).open("r+b", buffering=0) as nothing:
            files = [nothing.fileno() if file is None else file for file in (stdin, stdout)]
            return Forked(_born(self._line, order, files))

    def kill(self) -> None:
        self._hang_up()
        if self._process:
            self._process.kill()
            self._process.wait()

    def _hang_up(self) -> None:
        if self._line:
            self._line.close()
            self._line = None


def _born(line: socket.socket, order: bytes, files: Iterable[int]) -> int:
    """Its process id, which it says itself, through a pipe of its own, as soon as it is our child."""
    ours, theirs = os.pipe()
    try:
        try:
            socket.send_fds(line, [order], [*files, theirs])
        finally:
            os.close(theirs)
        pid = os.read(ours, 20) if select.select([ours], [], [], PATIENCE)[0] else b""
    except OSError as error:
        raise NotYet(f"the nursery is not there: {error.strerror}") from None
    finally:
        os.close(ours)
    if not pid:
        raise CannotStart("the nursery does not answer")
    return int(pid)


class Forked:
    """A child of ours that another process has made."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        return self._look(os.WNOHANG)

    def wait(self) -> int:
        code = self._look(0)
        assert code is not None  # noqa: S101 - without WNOHANG there is an end
        return code

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def _look(self, options: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


def bury(ours: Collection[int]) -> None:
    """Take note of orphans that have ended: whoever is in `ours` is waited for by somebody else."""
    while (found := _ended_child()) and found not in ours:
        os.waitpid(found, 0)


def _ended_child() -> int | None:
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found else None
