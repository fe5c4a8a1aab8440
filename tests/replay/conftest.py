"""A small file of the data set's form, and the command that sends it."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from persona.replay.retail import COLUMNS
from tests.e2e.calling import Caller
from tests.stack import Stack

Row = tuple[str, ...]
Replay = Callable[..., str]


def written(path: Path, *rows: Row, columns: Row = COLUMNS) -> Path:
    """A CSV of those rows."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return path


def row(
    invoice: str = "536365",
    *,
    quantity: str = "6",
    price: str = "2.55",
    customer: str = "17850.0",
    at: str = "2010-12-01 08:26:00",
    description: str = "WHITE HANGING HEART T-LIGHT HOLDER",
) -> Row:
    """One order line, like the first of the real file."""
    return (invoice, "85123A", description, quantity, at, price, customer, "United Kingdom")


@pytest.fixture
def replay(stack: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Replay:
    """The command, in this process: what it prints. With `key`, as the operator of that key's project."""
    settings.PERSONA_HOME = stack.home

    def run(path: Path, *words: str, key: str = "") -> str:
        monkeypatch.setenv("PERSONA_SECRET_API_KEY", key)
        said = io.StringIO()
        call_command("replay", str(path), *words, stdout=said)
        return said.getvalue()

    return run


@pytest.fixture(scope="session")
def server(stack: Stack) -> Caller:
    return Caller(stack.url, stack.secret_key)
