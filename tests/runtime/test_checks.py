"""The system checks: each fires on its mistake, and none on the defaults."""

import sys

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from persona.settings import database

MISTAKES: dict[str, dict[str, object]] = {
    "persona.W002": {"PERSONA_INGEST_BURST": 100},
    "persona.W003": {"PERSONA_INGEST_RATE": 30_000, "PERSONA_INGEST_BURST": 20_000},
    "persona.W004": {"PERSONA_STREAM_HEARTBEAT": 15, "PERSONA_STREAM_IDLE": 15},
    "persona.W005": {"ALLOWED_HOSTS": ["*"]},
    "persona.E006": {"ALLOWED_HOSTS": ["*"], "EMAIL_URL": "smtp://mail.example"},
}


def found() -> dict[str, str]:
    messages = run_checks(tags=["security"])
    return {str(message.id): message.hint or "" for message in messages if str(message.id).startswith("persona.")}


def test_the_defaults_are_good() -> None:
    assert found() == {}


@pytest.mark.parametrize("code", MISTAKES)
def test_each_mistake_is_told_with_a_hint(code: str, settings: Settings) -> None:
    for name, value in MISTAKES[code].items():
        setattr(settings, name, value)
    assert "PERSONA_" in found()[code]


@pytest.mark.parametrize("program", ["/usr/bin/celery", "/lib/uvicorn/__main__.py"])
def test_nothing_is_served_with_the_key_that_everybody_knows(
    program: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TESTING = False
    settings.SECRET_KEY = "insecure-only-for-commands-and-tests"
    assert "persona.E001" not in found()  # a command may run without
    monkeypatch.setattr(sys, "argv", [program])
    assert "PERSONA_SECRET_KEY" in found()["persona.E001"]
    settings.SECRET_KEY = "a-key-of-its-own"
    assert "persona.E001" not in found()


@pytest.mark.parametrize("url", ["mysql://u:hush@host/shop", "password=hush host"])
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        database("DATABASE_URL", url)
    assert "DATABASE_URL" in str(refused.value)
    assert "hush" not in str(refused.value)
