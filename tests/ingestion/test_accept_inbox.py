"""The inbox itself: durable before it says so, many to a commit, bounded, and nobody is ever left waiting."""

import asyncio
import os
import select
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import uvloop
from django.conf import LazySettings
from django.db import connection, connections

from ingestion.accepting import inbox as inbox_room
from ingestion.accepting import inbox_line
from ingestion.accepting.inbox import Inbox
from ingestion.accepting.inbox_line import Line, Row, encoded
from ingestion.signals import accepted
from keys.models import Project
from persona.lib.futures import Promise
from persona.lib.problems import Problem
from tests.ingestion.calling import EVENT, Shop, db, shop, way_in
from tests.waiting import DEADLINE as PATIENCE
from tests.waiting import until

__all__ = ["db", "shop", "way_in"]  # fixtures


@pytest.fixture
def inbox(shop: Shop) -> Iterator[Inbox]:
    """One of its own, beside the process's."""
    own = Inbox()
    yield own
    own.stop()


def row(project: Project, batch_id: str, *, body: bytes = b"{}", **given: Any) -> Row:
    fields = {"key_id": None, "dialect": "pipeline", "n": 1, "received_at": 1_700_000_000_000, **given}
    return Row(project_id=project.pk, batch_id=batch_id, body=body, **fields)


def code(future: "Promise[None]") -> str:
    """Of the problem that a waiter got."""
    error = future.exception(PATIENCE)
    assert isinstance(error, Problem)
    return error.code


def line() -> psycopg.Connection[Any]:
    """A connection that is not Django's."""
    given = connections["default"].get_connection_params()
    given.pop("cursor_factory")
    given.pop("context")
    return psycopg.connect(**given)


def lock_table() -> psycopg.Connection[Any]:
    """Somebody holds the table: nothing gets through until the connection is closed."""
    holder = line()
    holder.execute("lock table ingestion_batch in access exclusive mode")
    return holder


def test_a_row_as_it_was_put(inbox: Inbox, shop: Shop) -> None:
    body = bytes(range(256)) * 300
    inbox.put(row(shop.project, "b_ü", body=body, key_id=2**40, dialect="x", n=7, received_at=2**45)).result(PATIENCE)
    (found,) = shop.rows()
    assert (found.batch_id, found.key_id, found.dialect, found.n, found.received_at) == ("b_ü", 2**40, "x", 7, 2**45)
    assert (bytes(found.body), found.parked, found.error) == (body, False, "")


def test_rows_that_wait_together_are_committed_together(inbox: Inbox, shop: Shop) -> None:
    inbox.put(row(shop.project, "b_0")).result(PATIENCE)
    holder = lock_table()
    first = inbox.put(row(shop.project, "b_1"))
    until(lambda: not inbox._waiting, "the rows to be taken")  # it is being written
    others = [inbox.put(row(shop.project, f"b_{n}")) for n in range(2, 200)]
    assert not any(future.done() for future in (first, *others))
    holder.close()
    for future in (first, *others):
        future.result(PATIENCE)
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(distinct xmin::text) from ingestion_batch where project_id = %s", [shop.project.pk]
        )
        assert cursor.fetchone() == (3,)
    assert [found.batch_id for found in shop.rows()] == [f"b_{n}" for n in range(200)]


def test_many_threads(inbox: Inbox, shop: Shop) -> None:
    def put(thread: int) -> None:
        for n in range(25):
            inbox.put(row(shop.project, f"b_{thread}_{n}")).result(PATIENCE)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len({found.batch_id for found in shop.rows()}) == 200


@pytest.mark.parametrize("rows", [1, 5, 8])
def test_data_that_is_refused_fails_alone(rows: int, inbox: Inbox, shop: Shop) -> None:
    holder = lock_table()
    first = inbox.put(row(shop.project, "b_first"))
    until(lambda: not inbox._waiting, "the rows to be taken")
    futures = [inbox.put(row(shop.project, f"b_{n}", dialect="a\x00b" if n == rows // 2 else "a")) for n in range(rows)]
    holder.close()
    first.result(PATIENCE)
    for number, future in enumerate(futures):
        if number == rows // 2:
            assert code(future) == "internal"
        else:
            future.result(PATIENCE)
    assert len(shop.rows()) == rows  # the first, and all but one


def test_full_by_bytes_says_so_at_once(inbox: Inbox, shop: Shop, settings: LazySettings) -> None:
    settings.PERSONA_INBOX_QUEUE_BYTES = 1_000
    with pytest.raises(Problem) as larger:
        inbox.put(row(shop.project, "b_large", body=b"x" * 1_001))
    assert (larger.value.status, larger.value.code, larger.value.retry_after) == (503, "ingest.busy", 1)
    holder = lock_table()
    taken = [inbox.put(row(shop.project, f"b_{n}", body=b"x" * 400)) for n in range(2)]
    with pytest.raises(Problem) as full:
        inbox.put(row(shop.project, "b_full", body=b"x" * 400))
    assert full.value.code == "ingest.busy"
    holder.close()
    for future in taken:
        future.result(PATIENCE)
    inbox.put(row(shop.project, "b_again", body=b"x" * 1_000)).result(PATIENCE)


def test_full_by_rows(inbox: Inbox, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_room, "MOST_ROWS", 3)
    holder = lock_table()
    taken = [inbox.put(row(shop.project, f"b_{n}")) for n in range(3)]
    with pytest.raises(Problem):
        inbox.put(row(shop.project, "b_full"))
    holder.close()
    for future in taken:
        future.result(PATIENCE)


def test_a_lost_connection_is_made_again(inbox: Inbox, shop: Shop) -> None:
    inbox.put(row(shop.project, "b_1")).result(PATIENCE)
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and query ilike 'copy ingestion_batch%'"
        )
        assert cursor.fetchall() == [(True,)] * cursor.rowcount
        assert cursor.rowcount > 0
    inbox.put(row(shop.project, "b_2")).result(PATIENCE)
    assert [found.batch_id for found in shop.rows()] == ["b_1", "b_2"]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_server_that_ends_with_unread_bytes(new_loop: Callable[[], asyncio.AbstractEventLoop], shop: Shop) -> None:
    """Its last words and the reset of the connection come at once: a loop may tell of both with a single event."""
    rows = encoded([row(shop.project, "b_1")])

    async def write() -> None:
        own = Line()
        await own.written(rows)
        with lock_table():
            sent = own.send(rows)
            end_server(own._socket)
        await asyncio.wait_for(own.written(encoded([row(shop.project, "b_2")]), sent), PATIENCE)
        own.close()

    def end_server(fd: int) -> None:
        """That of the line, while it waits for the table. The loop sees nothing of it before it is gone."""
        its = "from pg_stat_activity where datname = current_database() and query ilike 'copy ingestion_batch%'"
        with line() as other:
            other.autocommit = True
            until(lambda: other.execute(f"select 1 {its} and wait_event_type = 'Lock'").fetchone(), "it to wait")
            os.write(fd, b"more than it will ever read")
            other.execute(f"select pg_terminate_backend(pid) {its}")
        end = select.poll()
        end.register(fd, 0)
        assert end.poll(PATIENCE * 1_000) == [(fd, select.POLLHUP | select.POLLERR)]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(write())
    assert [found.batch_id for found in shop.rows()] == ["b_1", "b_2"]


def test_a_server_that_says_nothing_is_given_up(inbox: Inbox, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = lock_table()
    with monkeypatch.context() as impatient:
        impatient.setattr(inbox_line, "ANSWER", 0.05)
        assert code(inbox.put(row(shop.project, "b_1"))) == "ingest.unavailable"
    holder.close()
    inbox.put(row(shop.project, "b_2")).result(PATIENCE)
    assert [found.batch_id for found in shop.rows()] == ["b_2"]


def test_a_database_that_is_away(
    inbox: Inbox, shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ingestion.accepting.inbox")
    with monkeypatch.context() as away:
        away.setitem(connections.settings["default"], "PORT", "1")
        assert code(inbox.put(row(shop.project, "b_1"))) == "ingest.unavailable"
        assert code(inbox.put(row(shop.project, "b_1"))) == "ingest.unavailable"
    inbox.put(row(shop.project, "b_2")).result(PATIENCE)
    assert [found.batch_id for found in shop.rows()] == ["b_2"]
    # Once each, however many are refused meanwhile.
    assert [caplog.text.count(said) for said in ("inbox.unavailable", "inbox.available")] == [1, 1]


def test_stopping_writes_what_waits_and_takes_no_more(inbox: Inbox, shop: Shop) -> None:
    futures = [inbox.put(row(shop.project, f"b_{n}")) for n in range(50)]
    inbox.stop()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(Problem) as refused:
        inbox.put(row(shop.project, "b_late"))
    assert refused.value.code == "ingest.stopping"
    inbox.start()
    inbox.put(row(shop.project, "b_next")).result(PATIENCE)
    assert len(shop.rows()) == 51


def test_stopping_in_front_of_a_locked_table_leaves_nobody_waiting(inbox: Inbox, shop: Shop) -> None:
    holder = lock_table()
    first = inbox.put(row(shop.project, "b_1"))
    until(lambda: not inbox._waiting, "the rows to be taken")
    second = inbox.put(row(shop.project, "b_2"))
    inbox.stop(timeout=0.05)
    assert code(second) == "ingest.stopping"
    holder.close()
    first.result(PATIENCE)


def test_whoever_listens_is_told_after_the_commit(inbox: Inbox, shop: Shop) -> None:
    seen: list[int] = []

    def told(**_: Any) -> None:
        """On the inbox's event loop, where Django refuses to ask the database."""
        with line() as own:
            (count,) = own.execute(
                "select count(*) from ingestion_batch where project_id = %s", [shop.project.pk]
            ).fetchone() or (0,)
            seen.append(count)

    accepted.connect(told)
    try:
        inbox.put(row(shop.project, "b_1")).result(PATIENCE)
        until(lambda: bool(seen), "the signal")
    finally:
        accepted.disconnect(told)
    assert seen == [1]


def test_a_listener_that_fails_harms_nobody(inbox: Inbox, shop: Shop) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("not the inbox's business")

    accepted.connect(broken)
    try:
        for n in range(3):
            inbox.put(row(shop.project, f"b_{n}")).result(PATIENCE)
    finally:
        accepted.disconnect(broken)


def test_a_forked_child_writes_by_itself(inbox: Inbox, shop: Shop) -> None:
    inbox.put(row(shop.project, "b_parent")).result(PATIENCE)
    child = os.fork()
    if child == 0:
        done = False
        try:
            inbox.put(row(shop.project, "b_child")).result(PATIENCE)
            done = True
        finally:
            os._exit(0 if done else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    inbox.put(row(shop.project, "b_again")).result(PATIENCE)
    assert [found.batch_id for found in shop.rows()] == ["b_parent", "b_child", "b_again"]


def test_what_the_client_is_told_when_it_is_full(shop: Shop, settings: LazySettings) -> None:
    settings.PERSONA_INBOX_QUEUE_BYTES = 10
    answer = shop.ingest(EVENT)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "ingest.busy", "1")
    assert answer.headers["ratelimit-limit"] == str(settings.PERSONA_INGEST_BURST)
    assert shop.rows() == []


def test_what_the_client_is_told_when_the_database_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.ingest(EVENT)  # the key is in memory now
    inbox_room.inbox.stop()  # and the inbox has to connect anew
    inbox_room.inbox.start()
    monkeypatch.setitem(connections.settings["default"], "PORT", "1")
    answer = shop.ingest(EVENT)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "ingest.unavailable", "2")
    monkeypatch.undo()
    assert shop.ingest(EVENT).status == 202
    assert len(shop.rows()) == 2
