"""The clients as their registries have them, and what our database holds of what they sent.

`make interop` installs them; where it has not been run, these tests are skipped by name.
"""

import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.stack import ROOT, Stack, wait_for

FOLDER = Path(__file__).parent
CLIENTS = FOLDER / "clients"
PYTHON = ROOT / ".venv-interop" / "bin" / "python"
NODE_MODULES = FOLDER / "node_modules"
PATIENCE = 100  # seconds for a client that waits for better weather

COUNT = """
select count(*), count(distinct e.uid), count(distinct e.props->>'total') from ingestion_event e
join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
join keys_project p on p.id = e.project_id
where p.slug = %s and n.name = 'order_placed' and exists (
    select from ingestion_alias a
    where a.project_id = e.project_id and a.profile_id = e.profile_id and a.external_id like %s)
"""
PLAN = """
select p.traits->>'plan' from ingestion_profile p join keys_project k on k.id = p.project_id
join ingestion_alias a on a.project_id = p.project_id and a.profile_id = p.id
where k.slug = %s and a.external_id = %s and a.kind = 'user'
"""
LETTERS = """
select count(*) from ingestion_deadletter d join keys_project p on p.id = d.project_id
where p.slug = %s and d.code = 'event.name_too_long'
"""
WAITING = "select count(*) from ingestion_batch"


class Books:
    """What is stored of the orders of some people."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def orders(self, people: str) -> tuple[int, int, int]:
        """Rows, different ids, different orders of those whose ids are LIKE `people`; when nothing waits any more."""
        with psycopg.connect(self._stack.database_url, autocommit=True) as database:
            wait_for(lambda: database.execute(WAITING).fetchone() == (0,), "the inbox to be empty")
            row = database.execute(COUNT, [self._stack.running.project, people]).fetchone()
        assert row is not None
        return (int(row[0]), int(row[1]), int(row[2]))

    def poisoned(self) -> int:
        """How many events with an impossible name were kept as dead letters."""
        with psycopg.connect(self._stack.database_url, autocommit=True) as database:
            row = database.execute(LETTERS, [self._stack.running.project]).fetchone()
        assert row is not None
        return int(row[0])

    def plan_of(self, person: str) -> object:
        """The trait that the client set last."""
        with psycopg.connect(self._stack.database_url, autocommit=True) as database:
            row = database.execute(PLAN, [self._stack.running.project, person]).fetchone()
        return row and row[0]


@pytest.fixture
def books(stack: Stack) -> Books:
    return Books(stack)


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """Before an installation is started for them."""
    if not PYTHON.exists() or not NODE_MODULES.exists() or shutil.which("node") is None:
        pytest.skip("needs the clients of other products: make interop (and Node.js)")


def run(script: str, *arguments: object) -> str:
    """One client in a process of its own; what it says of itself."""
    path = CLIENTS / script
    program = [PYTHON] if path.suffix == ".py" else ["node"]
    done = subprocess.run(
        [*map(str, program), str(path), *map(str, arguments)],
        cwd=FOLDER, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def manage(stack: Stack, *arguments: str, given: str = "") -> str:
    """A command beside the running installation."""
    done = stack.manage(*arguments, given=given)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
