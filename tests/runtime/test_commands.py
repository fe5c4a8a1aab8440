"""Management commands beside an installation: they find its database through the home."""

import os
import subprocess
import sys
from pathlib import Path

from tests.stack import ROOT, Stack


def manage(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environ | {"PERSONA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_command_finds_the_database_of_a_running_installation(stack: Stack) -> None:
    listed = manage("list_keys", "demo", home=stack.home)
    assert listed.returncode == 0, listed.stderr
    assert stack.publishable_key[:12] in listed.stdout


def test_without_a_database_there_is_one_line(tmp_path: Path) -> None:
    refused = manage("list_keys", "demo", home=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("persona: ")
    assert "manage.py up" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
