"""A pytest plugin: a throw-away home for this run, and without DATABASE_URL an embedded PostgreSQL (no fsync) in it.

A parallel run (pytest -n) migrates once. Its processes copy that database, and `tests.stack` the whole cluster; both
wait in `made()`.
"""

import atexit
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import blocking_manager_key

from persona.running.embedded import Postgres
from tests.waiting import until

CLUSTER = "PERSONA_TEST_CLUSTER"  # the folder with a copy of the migrated cluster, while it is made or there
DATABASE = "persona"  # the migrated one

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


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Iterator[None]:
    """In the process that hands out the tests: the others have been started, and collect meanwhile."""
    parallel = session.config.getoption("numprocesses", None) and not os.environ.get("PYTEST_XDIST_WORKER")
    if _server is None or _home is None or not parallel:
        return (yield)
    target = _home / "made"
    os.environ[CLUSTER] = str(target)
    yield
    with session.config.stash[blocking_manager_key].unblock():
        logging.disable(logging.INFO)
        call_command("migrate", verbosity=0)
        logging.disable(logging.NOTSET)
        connections.close_all()
    _server.stop()
    draft = _home / "draft"
    draft.mkdir()
    # As it is, owners included.
    subprocess.run(["cp", "-a", _server.data, _server.base / "pgpass", draft], check=True)
    with (draft / _server.data.name / "postgresql.conf").open("a") as options:
        options.write("fsync = off\n")  # processes are killed here, machines are not
    _server.start()
    draft.rename(target)


def made() -> Path | None:
    """The folder of an embedded server whose database is migrated, once it is there; None when this run has none."""
    folder = os.environ.get(CLUSTER)
    return until(lambda: path if (path := Path(folder)).exists() else None, "the migrations") if folder else None


@atexit.register  # pytest's own hook for the end is not called when it fails to begin
def pytest_unconfigure() -> None:
    if _server is not None:
        _server.stop()
    if _home is not None:
        shutil.rmtree(_home, ignore_errors=True)
