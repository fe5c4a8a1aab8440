"""A pytest plugin: a throw-away home for this run, and without DATABASE_URL an embedded PostgreSQL (no fsync) in it."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from persona.embedded import Postgres

_server: Postgres | None = None
_home: Path | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before pytest-django reads the settings."""
    global _server, _home
    base = _home = Path(tempfile.mkdtemp(prefix="persona-test-"))
    os.environ["PERSONA_HOME"] = str(base)  # never that of an installation which runs from this folder
    if "DATABASE_URL" in os.environ:
        return
    base.chmod(0o755)  # as root: PostgreSQL's own user has to get in
    _server = Postgres(base, durable=False).start()
    os.environ["DATABASE_URL"] = _server.dsn()


@atexit.register  # pytest's own hook for the end is not called when it fails to begin
def pytest_unconfigure() -> None:
    if _server is not None:
        _server.stop()
    if _home is not None:
        shutil.rmtree(_home, ignore_errors=True)
