"""How many streams there may be, who is cut off, how a server that stops says goodbye, and what is measured."""

import re
import socket
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY
from pytest_django import Settings

from segments.streaming import connection as streaming_connection
from segments.streaming.hub import open_streams
from tests.stream.conftest import Listen
from tests.stream.listening import Listening
from tests.stream.serving import DEADLINE, served, until
from tests.stream.shop import Shop


@pytest.fixture(autouse=True)
def nobody(db: None) -> None:
    until(lambda: open_streams() == 0, "the streams of earlier tests to be closed")


@pytest.mark.parametrize(
    ("setting", "status", "code"),
    [
        ("PERSONA_STREAM_KEY_LIMIT", 429, "stream.key_limit"),
        ("PERSONA_STREAM_PROJECT_LIMIT", 429, "stream.project_limit"),
        ("PERSONA_STREAM_LIMIT", 503, "stream.busy"),
    ],
)
def test_too_many(
    shop: Shop, elsewhere: Shop, listen: Listen, settings: Settings, setting: str, status: int, code: str
) -> None:
    setattr(settings, setting, 2)
    first, _ = listen(shop.pk), listen(shop.pk)
    refused = listen(shop.pk)
    assert (refused.status, refused.problem()["code"]) == (status, code)
    assert int(refused.headers["retry-after"]) > 0
    assert listen(shop.sk).status == (200 if "KEY" in setting else status)
    assert listen(elsewhere.pk).status == (503 if status == 503 else 200)
    first.close()
    until(lambda: listen(shop.pk).status == 200, "the place of the stream that left")


def test_refused_streams_take_no_place(shop: Shop, listen: Listen, settings: Settings) -> None:
    settings.PERSONA_STREAM_KEY_LIMIT = 1
    for _ in range(3):
        assert listen(shop.pk, "?persona=nobody").status == 404
    assert listen(shop.pk).status == 200


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def risen(name: str, by: float, **labels: str) -> Callable[[], bool]:
    before = value(name, **labels)
    return lambda: value(name, **labels) >= before + by


def test_what_is_measured(shop: Shop, listen: Listen) -> None:
    frames = risen("persona_stream_frames_total", 6)
    refused = risen("persona_stream_refused_total", 1, code="auth.missing_key")
    listen(None)
    streams = [listen(shop.pk), listen(shop.pk)]
    shop.append(3)
    for stream in streams:
        stream.take(3)
    until(lambda: value("persona_stream_open") == 2, "the gauge")
    until(frames, "the frames to be counted")
    until(refused, "the refusal to be counted")
    until(lambda: value("persona_stream_lag_changes") == 0, "nobody to be behind")


def stuck(port: int, key: str) -> socket.socket:
    """A client that reads nothing of a long answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(DEADLINE)
    client.connect(("127.0.0.1", port))
    lines = ("GET / HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}", "Last-Event-ID: 0", "", "")
    client.sendall("\r\n".join(lines).encode())
    return client


def rest(client: socket.socket) -> bytes:
    """All that is still to be read. A connection that was cut ends with an error."""
    whole = b""
    while part := client.recv(1 << 16):
        whole += part
    return whole


def test_a_reader_that_stays_slow_is_told_why_and_where_to_go_on(
    shop: Shop, port: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming_connection, "GRACE", DEADLINE)
    settings.PERSONA_STREAM_STALL = 1
    slow = risen("persona_stream_ended_total", 1, why="slow")
    shop.append(60_000)
    with stuck(port, shop.pk) as client:
        until(slow, "the slow reader to be given up")
        whole = rest(client)
    assert whole.endswith(b": slow: nothing was read for too long\n\n\r\n0\r\n\r\n")
    ids = [int(number) for number in re.findall(rb"^id: (\d+)$", whole, re.MULTILINE)]
    assert ids == list(range(1, ids[-1] + 1))
    assert ids[-1] < 60_000


def test_a_reader_that_never_reads_again_is_cut(
    shop: Shop, port: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming_connection, "GRACE", 0.2)
    settings.PERSONA_STREAM_STALL = 1
    slow = risen("persona_stream_ended_total", 1, why="slow")
    shop.append(60_000)
    with stuck(port, shop.pk) as client:
        until(slow, "the reader to be given up")
        until(lambda: open_streams() == 0, "the stream to be cut")
        assert not rest(client).endswith(b"0\r\n\r\n")  # what was in the server's memory is gone


@pytest.mark.parametrize("count", [1, 50])
def test_a_server_that_stops_sends_everybody_away_for_different_times(shop: Shop, count: int) -> None:
    with served() as port:
        streams = [Listening(port, shop.pk) for _ in range(count)]
        for stream in streams:
            stream.next("heartbeat")
    endings = [stream.response.read().decode() for stream in streams]
    pauses = [int(ending.partition("retry: ")[2].split("\n")[0]) for ending in endings]
    assert all(ending.endswith(": stop: the server stops\n\n") for ending in endings)
    assert all(200 <= pause <= 3_000 for pause in pauses)
    assert len(set(pauses)) > count / 2


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_on_a_server_without_our_pipe(shop: Shop, settings: Settings, http: str) -> None:
    """Any ASGI server will do: a task for each stream then waits for its socket."""
    settings.PERSONA_STREAM_HEARTBEAT = 0.3
    with served(http) as port:  # type: ignore[arg-type]  # one of the names that uvicorn knows
        shop.append(5_000)
        stream = Listening(port, shop.pk, last=0)
        assert [frame.id for frame in stream.take(5_000)] == list(range(1, 5_001))
        head = shop.append()
        assert stream.next().id == head
        assert stream.next("heartbeat").id == head
        settings.PERSONA_STREAM_IDLE = 1
        assert stream.ended()
        stream.close()


def test_a_client_that_leaves_with_another_request_behind_its_stream(shop: Shop, port: int, settings: Settings) -> None:
    """The server then looks at the request that came last, and forgets whom it is answering."""
    settings.PERSONA_STREAM_HEARTBEAT = 0.1
    lines = ("GET / HTTP/1.1", "Host: localhost", f"Authorization: Bearer {shop.pk}", "", "")
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
        client.sendall("\r\n".join(lines).encode() * 2)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        until(lambda: open_streams() == 1, "the stream")
    until(lambda: open_streams() == 0, "the stream to be over")
