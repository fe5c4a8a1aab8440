"""Management commands beside an installation: they find its database through the home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

import manage
from persona.lib.env import BadEnvironment
from tests.stack import ROOT, Stack


def test_a_command_finds_the_database_of_a_running_installation(stack: Stack) -> None:
    listed = stack.manage("list_keys", "demo")
    assert listed.returncode == 0, listed.stderr
    assert stack.publishable_key[:12] in listed.stdout


def test_without_a_database_there_is_one_line(tmp_path: Path) -> None:
    """As it is typed, in a process that nobody has prepared."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    refused = subprocess.run(
        [sys.executable, "manage.py", "list_keys", "demo"],
        cwd=ROOT,
        env=environment | {"PERSONA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("persona: ")
    assert "manage.py up" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("error", [BadEnvironment("PORT=many: no"), ImproperlyConfigured("DATABASE_URL is none.")])
def test_what_is_wrong_with_the_environment_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: object) -> None:
        raise error

    monkeypatch.setattr("django.core.management.execute_from_command_line", read)
    with pytest.raises(SystemExit, match=f"^persona: {error}$"):
        manage.main()
