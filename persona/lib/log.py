"""Structured logs: `entity.action` with ids, never objects; one line of JSON each, or colors on a terminal."""

import logging
import re
import sys
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any

import structlog

# What must never be written down: keys in any text, tickets and passwords in addresses.
_SECRET = re.compile(r"\b((?:pk|sk)_(?:live|test)_\w{4})\w+|((?:ticket|token)=)[^&\s\"]+|(://[^:/@\s]*:)[^@/\s]+@")


def redact(text: str) -> str:
    """The text without credentials; the first four characters of a key stay, to tell keys apart."""
    return _SECRET.sub(lambda m: f"{m[1]}…" if m[1] else f"{m[2]}…" if m[2] else f"{m[3]}…@", text)


def _redacted(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def _of_request(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Django says what it refused when the request is over, and its id is bound no more."""
    request = getattr(event.get("_record"), "request", None)
    given = getattr(request, "META", {}).get("HTTP_X_REQUEST_ID")
    return {"request_id": given, **event} if given else event


def _callers_fault(record: logging.LogRecord) -> bool:
    """What Django refuses is one line: its traceback shows Django alone, and everybody could fill a disk with it."""
    if getattr(record, "status_code", HTTPStatus.INTERNAL_SERVER_ERROR) < HTTPStatus.INTERNAL_SERVER_ERROR:
        record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
    return True


def configure_logging(level: str, *, colors: bool) -> None:
    """Both structlog's and the standard library's loggers write to stderr, in one format, redacted."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redacted,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if colors else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _of_request],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(_callers_fault)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("django.utils.autoreload", "asyncio", "amqp", "kombu"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The module's logger: `log.info("key.rotated", project=1, key=7)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
