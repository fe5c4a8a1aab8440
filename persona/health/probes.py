"""/health and /ready: what an orchestrator asks. They take no place of Django's: no crowd can make them late."""

from collections.abc import Callable

import msgspec

from ingestion.accepting import pressure
from ingestion.accepting.caller import Headers, Reply
from ingestion.accepting.door import Door
from persona.health import readiness
from persona.health.readiness import Readiness
from persona.lib.futures import then
from persona.lib.problems import Problem
from persona.lib.wire import Answer, problem_answer

FRESH = ("cache-control", "no-store")


def health(_: Headers, __: bytes) -> Reply:
    """The process is alive. Depends on nothing else."""
    return ALIVE


def ready(_: Headers, __: bytes) -> Reply:
    """The process can do its work, or not."""
    return then(readiness.soon(), said, problem_answer)


def said(found: Readiness) -> Answer:
    """200 with what waits and whether batches are taken, or 503 naming what is missing."""
    state: dict[str, object] = {
        "lag_ms": found.lag_ms,
        "stale_ms": found.stale_ms,
        "accepting": pressure.refusal() is None,
    }
    if not found.missing:
        return _answer({"status": "ready", **state})
    detail = f"No answer from: {', '.join(found.missing)}."
    return problem_answer(
        Problem(503, "service.not_ready", detail, retry_after=1, extra={"missing": found.missing, **state})
    ).having(FRESH)


def _answer(document: dict[str, object]) -> Answer:
    return Answer(200, msgspec.json.encode(document), headers=(FRESH,))


def _probe(behind: Callable[[Headers, bytes], Reply]) -> Door:
    return Door(methods=("GET", "HEAD"), behind=behind, keyed=False)


ALIVE = _answer({"status": "ok"})
HEALTH = _probe(health)
READY = _probe(ready)
