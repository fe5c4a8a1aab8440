"""What workers and beat log when the database or the broker is away, and when something else goes wrong."""

import logging

import psycopg
import pytest
import redis
from celery.beat import SchedulingError
from django.db import DataError, InterfaceError, OperationalError

import persona.celery  # noqa: F401 - sets the logs up
from persona import outages


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def not_scheduled(cause: Exception) -> Exception:
    error = SchedulingError("not sent")
    error.__context__ = cause
    return error


AWAY = (
    OperationalError("no answer"),
    psycopg.OperationalError("no answer"),
    caused(OperationalError("shut down"), psycopg.errors.AdminShutdown()),
    caused(InterfaceError("closed"), psycopg.InterfaceError()),
    redis.ConnectionError("refused"),
    not_scheduled(redis.ConnectionError("refused")),
)
OURS = (
    caused(OperationalError("deadlock"), psycopg.errors.DeadlockDetected()),
    caused(OperationalError("full"), psycopg.errors.DiskFull()),
    caused(DataError("too long"), psycopg.errors.StringDataRightTruncation()),
    not_scheduled(KeyError("name")),
    KeyError("name"),
)


@pytest.mark.parametrize(("error", "is_away"), [*((one, True) for one in AWAY), *((one, False) for one in OURS)])
def test_an_outage_is_a_line_and_a_fault_a_page(
    caplog: pytest.LogCaptureFixture, error: Exception, is_away: bool
) -> None:
    for name in outages.LOGGERS:
        caplog.clear()
        logging.getLogger(name).error("It failed: %r\n%s", error, ["the", "stack"], exc_info=error)
        (record,) = caplog.records
        assert record.getMessage().startswith("It failed")
        assert ("\n" in record.getMessage(), record.exc_info is not None) == (not is_away, not is_away)
