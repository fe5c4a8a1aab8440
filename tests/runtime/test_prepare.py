"""What `up` needs and cannot reach is told in one line, without its password. How `up` ends then is for test_up."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import Settings

from persona.settings import database

pytestmark = pytest.mark.django_db


@contextmanager
def at(url: str) -> Iterator[None]:
    """The database is there."""
    ours = connections["default"]
    connections["default"] = type(ours)({**ours.settings_dict, **database("DATABASE_URL", url)}, "default")
    try:
        yield
    finally:
        connections["default"] = ours


@pytest.fixture(autouse=True)
def nothing_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"null")))


def refused(captured: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        call_command("prepare")
    assert end.value.code == 1
    said = captured.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert "hush" not in line
    return line


def test_an_unreachable_database(capsys: pytest.CaptureFixture[str]) -> None:
    with at("postgresql://alice:hush@127.0.0.1:1/persona"):
        assert refused(capsys).startswith("persona: DATABASE_URL cannot be used: ")


def test_an_unreachable_redis(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.REDIS_URL = "redis://:hush@127.0.0.1:1/0"
    assert refused(capsys).startswith("persona: REDIS_URL cannot be used: ")
