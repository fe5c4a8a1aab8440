"""A pytest plugin: without DATABASE_URL, a throw-away embedded PostgreSQL (no fsync) for this run."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from persona.embedded import Postgres

_server: Postgres | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before pytest-django reads the settings."""
    global _server
    if "DATABASE_URL" in os.environ:
        return
    base = Path(tempfile.mkdtemp(prefix="persona-test-"))
    base.chmod(0o755)  # as root: PostgreSQL's own user has to get in
    _server = Postgres(base, durable=False).start()
    os.environ["DATABASE_URL"] = _server.dsn()


def pytest_unconfigure() -> None:
    if _server is not None:
        _server.stop()
        shutil.rmtree(_server.base, ignore_errors=True)
