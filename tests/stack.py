"""The real thing for end-to-end tests: `manage.py up` on a home of its own. As a pytest plugin it gives `stack`.

    def test_...(stack: Stack) -> None:       # one for the whole run; leave it running and whole
        stack.url, stack.secret_key, stack.publishable_key, stack.pids["web"]
        stack.kill("worker")                  # SIGKILL; returns when its successor is up
        stack.manage("list_keys", "demo")     # a command of its operator, which finds it by its home

A test that needs its own (other settings, or to stop it) makes one: `with Stack(folder / "home", NAME="value")`.
"""

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec
import pytest

from persona.running.home import Running
from tests.desk import Desk, Typed
from tests.order import scope
from tests.postgres import made
from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 180.0  # seconds; a busy machine starts seven processes


# Below those that the system gives to connections: nobody gets one between its choice and its use, and who knocks at
# one where nobody listens yet never meets himself. In another order in each process.
PORTS = itertools.cycle(random.Random().sample(range(10_000, 32_000), 22_000))

wait_for = until


def free_port() -> int:
    """Never the same one twice."""
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # somebody has it
            return port
    raise AssertionError("there are many")


def alive(pid: int) -> bool:
    """Does the process exist, and is it more than a zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes_of(home: Path) -> set[int]:
    """Every process that has to do with the home: by its environment, its arguments or its folder."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                place = str((entry / "cwd").readlink())
            except OSError:
                continue  # it ended, or it is not ours to look at
            if (os.fsencode(home) in text or place.startswith(str(home))) and alive(int(entry.name)):
                found.add(int(entry.name))
    return found


class Stack:
    """One installation. `settings` are environment variables; DATABASE_URL and REDIS_URL come from there alone.

    In a parallel run its cluster is a copy of one that is migrated, unless it is to be made `from_nothing`.
    """

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self._copied = "DATABASE_URL" not in settings
        self.port = int(settings.get("PORT") or free_port())
        given = {"PERSONA_DEMO_TRAFFIC": "0", "PORT": str(self.port), "PERSONA_HOME": str(home), **settings}
        ours = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        self._environment = {**ours, **given}
        self._log_path = home.parent / f"{home.name}.{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._desk: Desk | None = None

    # --- what it is ---

    @property
    def running(self) -> Running:
        """demo.json as it is now."""
        return msgspec.json.decode((self.home / "demo.json").read_bytes(), type=Running)

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def secret_key(self) -> str:
        return self.running.secret_key

    @property
    def publishable_key(self) -> str:
        return self.running.publishable_key

    @property
    def pids(self) -> dict[str, int]:
        return self.running.pids

    @property
    def supervisor(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """All that `up` and its children said."""
        return self._log_path.read_text()

    @property
    def database_url(self) -> str:
        """The address that the children use."""
        environment = Path(f"/proc/{self.pids['web']}/environ").read_bytes().split(b"\0")
        return next(line.partition(b"=")[2].decode() for line in environment if line.startswith(b"DATABASE_URL="))

    # --- what it does ---

    def from_nothing(self) -> Self:
        """Its start makes the cluster and applies all migrations, as that of a new installation does."""
        self._copied = False
        return self

    def start(self) -> Self:
        """Returns when everything is ready."""
        if self._copied and not self.home.exists() and (cluster := made()):
            self.home.mkdir(parents=True)
            subprocess.run(["cp", "-a", cluster, self.home / "postgres"], check=True)
        self.launch()
        wait_for(self._ready, "everything to be ready", PATIENCE)
        return self

    def launch(self, before: Callable[[], None] | None = None) -> None:
        """Starts it and returns at once. `before` is called in the new process."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        self._log = self._log_path.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before,
        )

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return "Persona runs" in self.log

    def result(self) -> tuple[int, str]:
        """Exit code and output of a start that is expected to fail."""
        assert self._process is not None
        return self._process.wait(PATIENCE), self.log

    def kill(self, name: str) -> int:
        """SIGKILL for one child; the pid of its successor, as soon as demo.json names it."""
        old = self.pids[name]
        os.kill(old, signal.SIGKILL)
        return wait_for(lambda: pid if (pid := self.pids.get(name, old)) != old else None, f"a new {name}")

    def manage(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """A `manage.py` command, as the operator would type it. given: what is on its stdin."""
        return self.typed(*words, given=given).ended()

    def typed(self, *words: str, given: str = "") -> Typed:
        """The same, while it runs."""
        self._desk = self._desk or Desk(self._environment)
        return self._desk.start(*words, given=given)

    def pause(self) -> None:
        """Nothing of it runs until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in processes_of(self.home):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(pid, number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(PATIENCE)
        finally:
            if self._log:
                self._log.close()

    def discard(self) -> None:
        """The quick end, for what nobody needs any more: nothing outlives a killed supervisor."""
        if self._desk:
            self._desk.close()
        self.stop(signal.SIGKILL)
        wait_for(lambda: not processes_of(self.home), "everything to end")

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.discard()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """For homes: PostgreSQL's own user has to get in when the tests run as root. With a space in its path."""
    folder = Path(tempfile.mkdtemp(prefix="persona up "))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


_shared: list[Stack] = []


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The installation that all end-to-end tests share. Personas of the demo are not in it; traffic is not either."""
    with reachable_folder() as folder, Stack(folder / "home", PERSONA_DEMO="0") as running:
        _shared.append(running)
        yield running
        _shared.clear()
        running.go_on()  # what stands still cannot end


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if "stack" in getattr(item, "fixturenames", ()):
        for running in _shared:
            running.go_on()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Whoever does something else now needs the twentieth of a processor that it takes when it does nothing."""
    if nextitem is None or scope(nextitem.nodeid) != scope(item.nodeid):
        for running in _shared:
            running.pause()
