"""What an outage of the database or the broker leaves in the log of workers and beat: a line each time, not a page."""

import logging

import psycopg
import redis
from celery.beat import SchedulingError
from django.db import InterfaceError, OperationalError
from kombu.exceptions import OperationalError as BrokerError

LOGGERS = (
    "celery.app.trace",
    "celery.beat",
    "celery.worker.consumer.consumer",
    "celery.worker.request",
    "django.dispatch",
)
AWAY = (InterfaceError, psycopg.InterfaceError, redis.ConnectionError, redis.TimeoutError, ConnectionError, BrokerError)
# SQLSTATE classes: the connection was lost, or an operator ended it. None: there was nobody to say one.
LOST = ("08", "57", None)


class Brief(logging.Filter):
    """Of a record about an outage only the first line. What else goes wrong keeps its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and is_away(record.exc_info[1]):
            record.msg, record.args, record.exc_info = record.getMessage().partition("\n")[0], (), None
        return True


def is_away(error: BaseException | None) -> bool:
    """Whether the error, or one that it comes from, says that the database or the broker cannot be reached."""
    while error is not None:
        cause = error.__context__ if isinstance(error, SchedulingError) else error.__cause__
        if isinstance(error, psycopg.OperationalError):
            return error.sqlstate is None or error.sqlstate[:2] in LOST
        if isinstance(error, AWAY) or (isinstance(error, OperationalError) and cause is None):
            return True
        error = cause
    return False


def say_less() -> None:
    """In this process, from now on."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, Brief) for one in logger.filters):
            logger.addFilter(Brief())
