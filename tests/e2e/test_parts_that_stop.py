"""SegOps' health and every wire's answer when a real part is gone: the workers stand still or lose the process of their
tasks, PostgreSQL is killed.

What takes a while by itself (silence, lag) is made older in the database; that it is noticed, and ends, is not.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.e2e.calling import INGEST, Caller, Got, track
from tests.e2e.ordeal import descendants
from tests.stack import Stack, alive, wait_for

pytestmark = pytest.mark.usefixtures("left_well")

HEALTH = "/api/ingestion/health/"
OLD = 100_000  # ms: more than any limit here
ID = "stops-1"
ASKED: dict[str, Any] = {
    INGEST: {"batch": [{"type": "track", "event": "stopped", "messageId": ID, "userId": "stopped"}]},
    "/v1/events": {"events": [{
        "event_id": ID, "project_id": "p", "session.id": "s", "event.type": "stopped", "user.id": "stopped",
        "event.timestamp": "2026-01-01T00:00:00Z",
    }]},
    "/v1/track": {"event": "stopped", "messageId": ID, "userId": "stopped"},
    "/api/ingestion/track/": {"user_id": "stopped", "event_type": "stopped", "message_id": ID},
}  # fmt: skip
SHAPES = {
    INGEST: ("application/problem+json", "code"),
    "/v1/events": ("text/plain; charset=utf-8", ""),
    "/v1/track": ("application/json", "message"),
    "/api/ingestion/track/": ("application/json", "detail"),
}
STORED = """
select count(*) from ingestion_event e join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
where n.name = 'stopped'
"""


def run(stack: Stack, statement: str) -> Any:
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        cursor = database.execute(statement)
        return cursor.fetchone() if cursor.description else None


def words(answer: Got) -> dict[str, str]:
    """What is not well."""
    found = answer.json()
    return {name: found[name] for name in ("pubsub_topic", "worker", "clickhouse") if found[name] != "ok"}


def becomes(server: Caller, status: int, expected: dict[str, str]) -> None:
    wait_for(
        lambda: (answer := server.ask("GET", HEALTH)).status == status and words(answer) == expected,
        f"health to be {status} {expected}",
    )


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """The process and its children, as when a machine hangs."""
    os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGCONT)


@contextmanager
def killed_database(stack: Stack) -> Iterator[None]:
    """And nobody there who starts it again."""
    os.kill(stack.supervisor, signal.SIGSTOP)
    try:
        os.kill(stack.pids["postgres"], signal.SIGKILL)
        yield
    finally:
        os.kill(stack.supervisor, signal.SIGCONT)


def test_the_workers_stand_still(stack: Stack, server: Caller) -> None:
    """Nothing is applied, so what is sent waits; when they go on, all of it is as it was."""
    becomes(server, 200, {})
    with standing_still(stack.pids["worker"]):
        assert server.ask("POST", INGEST, ASKED[INGEST]).status == 202
        run(stack, f"update ingestion_batch set received_at = received_at - {OLD}")
        becomes(server, 503, {"pubsub_topic": "late"})
        run(stack, f"update ingestion_heartbeat set at = at - {OLD}")
        becomes(server, 503, {"pubsub_topic": "late", "worker": "stopped"})
        assert server.ask("GET", HEALTH).headers["retry-after"] == "5"
    becomes(server, 200, {})
    wait_for(lambda: run(stack, STORED) == (1,), "the event to be stored")


def test_the_process_of_a_workers_tasks_is_killed(stack: Stack, server: Caller) -> None:
    """While it waits for a task, as it does nearly always. Its successor works, and is not killed by a stop."""
    worker = stack.pids["worker"]
    (first,) = descendants(worker)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: {*descendants(worker)} - {first}, "a successor")
    server.applied(server.ingest(track("killed", "killed")))
    (second,) = descendants(worker)
    os.kill(worker, signal.SIGTERM)
    wait_for(lambda: not alive(worker), "the worker to stop")
    assert f"pid:{first} exited" in stack.log
    assert f"pid:{second} exited" not in stack.log


@pytest.mark.timeout(120)
def test_the_database_is_away(stack: Stack, server: Caller) -> None:
    """Every wire says 503 and when to come again, in its own form; the same event through all of them is one event."""
    with killed_database(stack):
        becomes(server, 503, {"pubsub_topic": "unreachable", "worker": "unknown", "clickhouse": "unreachable"})
        for path, body in ASKED.items():
            answer = server.ask("POST", path, body)
            media_type, key = SHAPES[path]
            assert (path, answer.status, answer.headers["content-type"]) == (path, 503, media_type)
            assert int(answer.headers["retry-after"]) > 0
            assert (answer.json()[key] if key else answer.body.decode()).strip()
        for path in ("/api/ingestion/stats/", "/api/ingestion/errors/"):
            answer = server.ask("GET", path)
            assert (answer.status, set(answer.json())) == (503, {"detail", "code"})
    becomes(server, 200, {})
    for path, body in ASKED.items():
        assert server.ask("POST", path, body).status in (200, 202)
    wait_for(lambda: run(stack, "select count(*) from ingestion_batch where not parked") == (0,), "an empty inbox")
    assert run(stack, STORED) == (1,)
