"""The folder where an installation keeps what it must remember: lock, secret key, access to the demo. No Django."""

import fcntl
import os
import secrets
import shutil
from io import FileIO
from pathlib import Path

import msgspec

CLUSTER_BYTES = 150 * 1024 * 1024  # a new cluster with its write-ahead log takes about 80 MB


class Unusable(RuntimeError):
    """Why nothing can be started; the text is one line for a person."""


class Access(msgspec.Struct, kw_only=True, frozen=True):
    """How to get into the demo project. Everything is a secret except the slug and the user's name."""

    project: str
    publishable_key: str
    secret_key: str
    admin_user: str
    admin_password: str


class Running(Access, kw_only=True, frozen=True):
    """`demo.json`: where the installation answers, and which processes it consists of."""

    url: str
    pids: dict[str, int]


class Home:
    """`take()` first; it may be held by one `up` at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.demo = self.path / "demo.json"
        self._database = self.path / "database_url"
        # While starting, the file of the last run waits here: whoever waits for demo.json must not see an old one.
        self._earlier = self.path / "demo.earlier.json"
        self._lock: FileIO | None = None

    def take(self) -> None:
        """Make the folder and lock it, for as long as this process lives. Raises Unusable."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Without a buffer: what a full disk refuses must not be tried again when the process ends.
            lock = self._lock = (self.path / "up.lock").open("ab+", buffering=0)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().decode().strip() or "unknown"
            raise Unusable(
                f"Persona already runs on {self.path} (process {holder}). Stop it, or set PERSONA_HOME."
            ) from None
        except OSError as error:
            raise Unusable(f"The folder {self.path} cannot be used: {error.strerror}. Set PERSONA_HOME.") from None

    def require_space(self, least: int) -> None:
        """Raises Unusable when the disk has less than `least` bytes free, or too few to make or run a cluster here."""
        disk = os.statvfs(self.path)
        free, least = disk.f_bavail * disk.f_frsize, max(least, CLUSTER_BYTES)
        if free < least:
            needed = f"{free // 1024**2} MB are free, {least // 1024**2} MB are needed"
            raise Unusable(f"The disk of {self.path} is full: {needed}.")

    def emptied(self, name: str) -> Path:
        """A folder for what this run alone needs."""
        folder = self.path / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def secret_key(self) -> str:
        """Django's secret key, made at the first start."""
        path = self.path / "secret_key"
        if not path.exists():
            _write_private(path, secrets.token_urlsafe(48))
        return path.read_text().strip()

    def open_database(self, url: str) -> None:
        """The embedded server runs at `url`: management commands that are given no DATABASE_URL find it here."""
        _write_private(self._database, url)

    def close_database(self) -> None:
        self._database.unlink(missing_ok=True)

    def recall(self) -> Access | None:
        """The access of the last run, if its file is there and readable. Puts demo.json aside until `publish`."""
        if self.demo.exists():
            self.demo.replace(self._earlier)
        try:
            return msgspec.json.decode(self._earlier.read_bytes(), type=Access)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def remember(self, access: Access) -> None:
        """Keep the access of a start that is not ready yet, lest its keys are lost when it never becomes so."""
        _write_private(self._earlier, msgspec.json.encode(access).decode())

    def publish(self, running: Running) -> None:
        """Write demo.json, in one step."""
        _write_private(self.demo, msgspec.json.format(msgspec.json.encode(running), indent=2).decode() + "\n")
        self._earlier.unlink(missing_ok=True)


def _write_private(path: Path, text: str) -> None:
    """Readable by the owner alone from its first byte on, and never half written."""
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
