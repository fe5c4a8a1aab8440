"""What goes over the wire: frames, resume, filter, heartbeat, reset."""

import socket

import pytest
from django.db.transaction import TransactionManagementError
from pytest_django import Settings

from segments import bell
from segments import log as change_log
from segments.models import Change, Head
from tests.stream.conftest import Listen
from tests.stream.serving import DEADLINE
from tests.stream.shop import Shop


def test_a_frame_is_exactly_as_documented(shop: Shop, listen: Listen) -> None:
    stream = listen(shop.pk)
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-cache"
    assert stream.headers["x-accel-buffering"] == "no"
    first = stream.next("heartbeat")
    shop.append()
    frame = stream.next()
    assert frame.id == first.id + 1
    assert list(frame.data) == ["profile", "persona", "op", "at", "cause", "version"]
    assert frame.data == {
        "profile": "u_shop",
        "persona": "high_intent",
        "op": "enter",
        "at": "2026-06-09T10:13:19.001Z",
        "cause": "event",
        "version": 1,
    }


def test_the_response_opens_at_once(shop: Shop, listen: Listen) -> None:
    stream = listen(shop.pk)
    assert stream.response.readline() == b": open\n"
    assert stream.response.readline() == b"\n"
    assert stream.response.readline() == b"retry: 2000\n"


def test_it_starts_at_the_head_and_says_where_that_is(shop: Shop, listen: Listen) -> None:
    head = shop.append(5)
    stream = listen(shop.pk)
    assert stream.frame() == (head, "heartbeat", {})
    shop.append(op="leave")
    assert stream.next().id == head + 1


@pytest.mark.parametrize("how", ["header", "query"])
def test_resume(shop: Shop, listen: Listen, how: str) -> None:
    head = shop.append(10)
    stream = listen(shop.pk, last=head - 4) if how == "header" else listen(shop.pk, f"?lastEventId={head - 4}")
    assert [frame.id for frame in stream.take(4)] == list(range(head - 3, head + 1))


def test_resume_at_the_head_waits_for_what_comes(shop: Shop, listen: Listen) -> None:
    head = shop.append(3)
    stream = listen(shop.pk, last=head)
    shop.append()
    frame = stream.frame()
    assert frame is not None
    assert (frame.id, frame.event) == (head + 1, "segment.updated")


def test_resume_from_far_behind_what_is_in_memory(shop: Shop, listen: Listen) -> None:
    shop.append(9_000)
    stream = listen(shop.pk, last=0)
    assert [frame.id for frame in stream.take(9_000)] == list(range(1, 9_001))


def test_filters(shop: Shop, listen: Listen) -> None:
    everything = listen(shop.sk)
    one = listen(shop.pk, "?persona=churner")
    both = listen(shop.pk, "?persona=churner&persona=high_intent")
    shop.append()
    head = shop.append(persona=shop.churner)
    assert one.next().id == head
    assert [frame.data["persona"] for frame in both.take(2)] == ["high_intent", "churner"]
    assert [frame.id for frame in everything.take(2)] == [head - 1, head]


def test_a_filter_holds_for_resumed_rows_too(shop: Shop, listen: Listen) -> None:
    shop.append(6_000)
    head = shop.append(persona=shop.churner)
    shop.append(100)
    stream = listen(shop.pk, "?persona=churner", last=0)
    assert stream.next().id == head
    late = shop.append(persona=shop.churner)
    assert stream.next().id == late


def test_silent_rows_are_skipped(shop: Shop, listen: Listen) -> None:
    live = listen(shop.pk)
    shop.append(silent=True)
    head = shop.append()
    assert live.next().id == head
    assert listen(shop.pk, last=0).next().id == head


def test_a_heartbeat_carries_the_place(shop: Shop, listen: Listen, settings: Settings) -> None:
    settings.PERSONA_STREAM_HEARTBEAT = 0.3
    stream = listen(shop.pk, "?persona=churner")
    assert stream.frame() == (0, "heartbeat", {})
    head = shop.append(7)  # for another persona: not shown, and yet served up to
    while (frame := stream.frame()) is not None and frame.id != head:
        assert frame == (0, "heartbeat", {})
    assert frame == (head, "heartbeat", {})
    assert stream.frame() == (head, "heartbeat", {})


def test_a_lost_bell_costs_a_heartbeat(shop: Shop, listen: Listen, settings: Settings) -> None:
    settings.PERSONA_STREAM_HEARTBEAT = 0.3
    stream = listen(shop.pk)
    head = shop.append(3, ring=False)
    assert [frame.id for frame in stream.take(3)] == [head - 2, head - 1, head]


def test_reset_when_the_cursor_was_pruned(shop: Shop, listen: Listen) -> None:
    head = shop.append(10)
    shop.prune(6)
    stream = listen(shop.pk, last=5)
    assert stream.frame() == (6, "reset", {"oldest": 7, "head": head})
    assert [frame.id for frame in stream.take(4)] == [7, 8, 9, 10]


def test_no_reset_one_before_the_oldest(shop: Shop, listen: Listen) -> None:
    shop.append(10)
    shop.prune(6)
    frame = listen(shop.pk, last=6).frame()
    assert frame is not None
    assert (frame.id, frame.event) == (7, "segment.updated")


def test_a_client_of_http_1_0_gets_no_chunks(shop: Shop, port: int) -> None:
    shop.append(2)
    headers = f"Host: localhost\r\nAuthorization: Bearer {shop.pk}\r\nLast-Event-ID: 0\r\n"
    asked = f"GET /api/v2/pipeline/stream HTTP/1.0\r\n{headers}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as line:
        line.sendall(asked.encode())
        received = b""
        while b"id: 2\n" not in received:
            received += line.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert body.startswith(b": open\n\nretry: 2000\n\nid: 1\nevent: segment.updated\n")


def test_blanks_around_a_cursor_are_the_lines(shop: Shop, listen: Listen) -> None:
    shop.append(3)
    assert listen(shop.pk, headers={"Last-Event-ID": " 2 "}).next().id == 3


@pytest.mark.parametrize("cursor", ["11", "9" * 40])
def test_reset_when_the_cursor_is_above_the_head(shop: Shop, listen: Listen, cursor: str) -> None:
    shop.append(10)
    stream = listen(shop.pk, last=cursor)
    assert stream.frame() == (0, "reset", {"oldest": 1, "head": 10})
    assert stream.next().id == 1


def test_an_empty_log_begins_one_after_its_head(shop: Shop, listen: Listen) -> None:
    shop.append(10)
    shop.prune(10)
    assert change_log.bounds(shop.project.pk) == (11, 10)
    assert listen(shop.pk, last=9).frame() == (10, "reset", {"oldest": 11, "head": 10})
    at_the_head = listen(shop.pk, last=10)
    shop.append()
    frame = at_the_head.frame()
    assert frame is not None
    assert (frame.id, frame.event) == (11, "segment.updated")


def test_a_project_without_any_change(shop: Shop, listen: Listen) -> None:
    assert change_log.bounds(shop.project.pk) == (1, 0)
    assert listen(shop.pk).frame() == (0, "heartbeat", {})
    assert listen(shop.pk, last=3).frame() == (0, "reset", {"oldest": 1, "head": 0})


def test_a_log_that_became_shorter_resets_open_streams(shop: Shop, listen: Listen, settings: Settings) -> None:
    """A failover to a copy that had not received everything."""
    settings.PERSONA_STREAM_HEARTBEAT = 0.3
    stream = listen(shop.pk)
    shop.append(5)
    stream.take(5)
    _cut_log(shop, 2)
    assert stream.next("reset") == (0, "reset", {"oldest": 1, "head": 2})
    assert [frame.id for frame in stream.take(2)] == [1, 2]


def _cut_log(shop: Shop, head: int) -> None:
    Change.objects.filter(project=shop.project, seq__gt=head).delete()
    Head.objects.filter(project=shop.project).update(last_seq=head)


def test_after_reads_in_order_and_filters(shop: Shop) -> None:
    shop.append(2)
    shop.append(persona=shop.churner, op="leave", silent=True)
    rows = change_log.after(shop.project.pk, 1, None, 10)
    assert [(row.seq, row.persona, row.op, row.silent) for row in rows] == [
        (2, "high_intent", "enter", False),
        (3, "churner", "leave", True),
    ]
    assert [row.seq for row in change_log.after(shop.project.pk, 0, [shop.churner.pk], 10)] == [3]
    assert [row.seq for row in change_log.after(shop.project.pk, 0, None, 2)] == [1, 2]
    assert (rows[0].profile, rows[0].trigger, rows[0].late_ms) == ("u_shop", None, None)


def test_the_bell_belongs_into_a_transaction(shop: Shop) -> None:
    with pytest.raises(TransactionManagementError):
        bell.ring(shop.project.pk, 1)
