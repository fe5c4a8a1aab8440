"""`manage.py up`: one command that runs everything, restarts what dies and stops cleanly.

No Django here: the supervisor must outlive whatever breaks in its children, and holds no connection.
"""

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

import msgspec

from persona.lib import env
from persona.running import nursery, programs, starting
from persona.running.announce import announcement
from persona.running.children import Child, Database, Kept
from persona.running.embedded import CannotStart, Postgres
from persona.running.home import Access, Home, Running, Unusable
from persona.running.nursery import Nursery

CHILDREN_STOP_SECONDS = 5.0  # together with the next less than the ten that a stop may take
DATABASE_STOP_SECONDS = 3.0


class AlreadySaid(RuntimeError):
    """One of our processes has told the person why it cannot start."""


class Stop(BaseException):
    """A signal asked us to end; like KeyboardInterrupt, only the outermost function catches it."""


def say(text: str) -> None:
    tell(f"persona: {text}", sys.stderr)


def tell(text: str, where: TextIO) -> None:
    """What runs goes on when nobody can be told: the terminal is gone, or the disk of the log is full."""
    with suppress(OSError):
        print(text, file=where, flush=True)


def run() -> int:
    """The exit code: 0 after a clean stop; 1 when it could not start, with one line that says why."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    supervisor = None
    try:
        port = env.number("PORT", 8000, least=1, most=65_535)
        home = Home(Path(env.text("PERSONA_HOME") or starting.ROOT / "var"))
        supervisor = Supervisor(home, env.text("PERSONA_BIND") or "127.0.0.1", port)
        supervisor.start()
        supervisor.watch()
    except Stop:
        say("stopping")
        return 0
    except AlreadySaid:
        return 1
    except (Unusable, CannotStart, env.BadEnvironment) as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"cannot start: {error.strerror or error}{f' ({error.filename})' if error.filename else ''}")
        return 1
    finally:
        _ignore_signals()
        if supervisor:
            supervisor.stop()


def _stop(_: int, __: FrameType | None) -> None:
    _ignore_signals()
    raise Stop


def _ignore_signals() -> None:
    """Once is enough: the end is less than ten seconds away, and it must not be interrupted half-way."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class Supervisor:
    """Everything that runs, and the file that says so."""

    def __init__(self, home: Home, bind: str, port: int) -> None:
        self.home = home
        self.bind = bind
        self.port = port
        host = programs.reachable(bind)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self.began = time.monotonic()
        self.environ = dict(os.environ, DJANGO_SETTINGS_MODULE="persona.settings", PYTHONUNBUFFERED="1")
        self.server: Postgres | None = None
        self.nursery: Nursery | None = None
        self.run: starting.Start = starting.alone
        self.access: Access | None = None
        self.children: list[Child] = []
        self.kept: list[Kept] = []
        self.announced = False

    def start(self) -> None:
        """Everything up to the children. Raises Unusable or CannotStart with one line."""
        self.home.take()
        if not env.text("DATABASE_URL"):
            self.home.require_space(env.number("PERSONA_LEAST_FREE_BYTES", 0))
        _require_port(self.bind, self.port)
        self.environ["PERSONA_HOME"] = str(self.home.path)
        self.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.home.emptied("metrics"))
        self.environ.setdefault("PERSONA_LOG_LEVEL", "WARNING")  # a terminal is for what needs a person
        self.environ["PERSONA_SECRET_KEY"] = env.text("PERSONA_SECRET_KEY") or self.home.secret_key()
        if not env.text("DATABASE_URL"):
            self._start_database()
        if nursery.POSSIBLE:
            self._start_nursery()
        self.access = self._prepare(self.home.recall())
        self.home.remember(self.access)
        say("starting web, worker, bulk, deliver and beat")
        self._keep(
            programs.children(start=self.run, environ=self.environ, home=self.home.path, bind=self.bind, port=self.port)
        )

    def _keep(self, children: list[Child]) -> None:
        self.children += children
        self.kept += [Kept(child, say) for child in children]

    def _start_database(self) -> None:
        folder = self.home.path / "postgres"
        say(f"starting PostgreSQL in {folder}")
        self.server = Postgres(folder)
        self.server.start()
        self.environ["DATABASE_URL"] = self.server.dsn()
        self.home.open_database(self.server.dsn())
        self.kept.append(Kept(Database(self.server), say, running=True))

    def _start_nursery(self) -> None:
        self.nursery = Nursery(self.environ)
        self.nursery.start()
        if not self.nursery.wait():
            raise AlreadySaid
        self.run = self.nursery.run
        self.kept.append(Kept(self.nursery, say, running=True))

    def _prepare(self, earlier: Access | None) -> Access:
        """Migrations and the demo project, in a process that ends; it says itself what goes wrong."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                command = [sys.executable, "manage.py", "prepare"]
                process = self.run(command, env=self.environ, stdin=theirs.fileno(), stdout=theirs.fileno())
            try:
                answer = _asked(ours, msgspec.json.encode(earlier))
            except BaseException:
                process.terminate()
                raise
        if process.wait():
            raise AlreadySaid
        return msgspec.json.decode(answer, type=Access)

    def watch(self) -> NoReturn:
        """For ever: start what is due, publish who runs."""
        while True:
            started = [kept for kept in self.kept if kept.look()]
            nursery.bury({kept.part.pid for kept in self.kept if kept.part.pid})
            if self.announced and started:
                self._publish(self._running())
            if not self.announced and all(kept.ready for kept in self.kept):
                self._publish(self._running())
                self.announced = True
                tell(announcement(self._running(), time.monotonic() - self.began), sys.stdout)
                self._keep(programs.traffic(start=self.run, environ=self.environ, url=self.url, access=self._access()))
            time.sleep(0.2 if self.announced else 0.05)

    def _access(self) -> Access:
        assert self.access is not None  # noqa: S101 - start() prepares first
        return self.access

    def _running(self) -> Running:
        pids = {kept.part.name: kept.part.pid for kept in self.kept if kept.part.pid and kept.part.name != "traffic"}
        return Running(url=self.url, pids=pids, **msgspec.structs.asdict(self._access()))

    def _publish(self, running: Running) -> None:
        try:
            self.home.publish(running)
        except OSError as error:  # a disk that is full must not end what still runs
            say(f"demo.json could not be written: {error.strerror}")

    def stop(self) -> None:
        """The children first, all at once, then the database under them."""
        if self.nursery:
            self.nursery.kill()
        for child in self.children:
            child.ask_to_stop()
        deadline = time.monotonic() + CHILDREN_STOP_SECONDS
        while time.monotonic() < deadline and any(child.alive for child in self.children):
            time.sleep(0.02)
        for child in self.children:
            child.kill()
        if self.server:
            self.home.close_database()
            self.server.stop(patience=DATABASE_STOP_SECONDS)
        if self.announced:  # its keys go on being good; its processes are gone
            self._publish(msgspec.structs.replace(self._running(), pids={}))


def _asked(line: socket.socket, question: bytes) -> bytes:
    """What a process answers until it ends; less than everything when it ends too soon."""
    answer = b""
    with suppress(ConnectionError):
        line.sendall(question)
        line.shutdown(socket.SHUT_WR)
        while more := line.recv(65_536):
            answer += more
    return answer


def _require_port(bind: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            hint = f"Stop what uses it, or choose another: PORT={port + 1 if port < 65_535 else 8000}."
            raise Unusable(f"Port {port} of {bind} cannot be used: {error.strerror}. {hint}") from None
