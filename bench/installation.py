"""What the benches run on: a PostgreSQL of their own in this process, or a whole installation with its programs.

Both live in a temporary folder with fsync on, listen on 127.0.0.1 alone, and are gone in the end.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "persona.settings")
os.environ.setdefault("PERSONA_LOG_LEVEL", "WARNING")

from persona.running.embedded import Postgres
from tests.stack import Stack, free_port


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder that PostgreSQL's own user can reach, when we are root."""
    base = Path(tempfile.mkdtemp(prefix="persona-bench-"))
    base.chmod(0o755)
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


@contextmanager
def database() -> Iterator[None]:
    """A PostgreSQL, migrated, as the database of this process's Django."""
    with folder() as base:
        server = Postgres(base).start()
        try:
            connect(server.dsn())
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            yield
        finally:
            server.stop()


def connect(dsn: str) -> None:
    """Let this process's Django speak to that database. Once a process."""
    os.environ["DATABASE_URL"] = dsn
    import django

    django.setup()


@contextmanager
def installation(**settings: str) -> Iterator[Stack]:
    """`manage.py up`, with the project and keys of the demo but none of its personas and people."""
    given = {"PERSONA_DEMO": "0", "PERSONA_BIND": "127.0.0.1", **settings}
    with folder() as base, Stack(base / "home", **given) as stack:
        yield stack


@contextmanager
def redis() -> Iterator[str]:
    """The address of a Redis of our own. FileNotFoundError where redis-server is not installed."""
    port = free_port()
    with folder() as base:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(base)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            _await(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(5)


def _await(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
