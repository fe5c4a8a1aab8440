"""The web process under a crowd, and under clients that never come to an end."""

import http.client
import json
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import psycopg
import pytest

from persona import settings
from tests.stack import Stack

CROWD = 100
HEADROOM = 40  # threads and connections of everything that is no place of Django's


def asked(
    stack: Stack, path: str, *, key: str = "", host: str = "localhost", method: str = "GET", body: bytes = b""
) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    try:
        headers = {"Host": host, **({"Authorization": f"Bearer {key}"} if key else {})}
        connection.request(method, path, body=body or None, headers=headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_a_crowd_is_answered_by_few_threads_and_connections(stack: Stack) -> None:
    """All at once. Meanwhile probes and ingest answer, and nobody counts more threads than there are places."""
    together, done = Barrier(CROWD), Event()
    counted: list[tuple[int, int]] = []
    meanwhile: list[int] = []
    batch = json.dumps({"batch": [{"type": "track", "event": "looked"}]}).encode()

    def visit(_: int) -> int:
        together.wait(60)
        return asked(stack, "/api/projects/demo/personas", key=stack.secret_key)[0]

    def look_on() -> None:
        with psycopg.connect(stack.database_url, autocommit=True) as server:
            while not done.is_set() or not meanwhile:
                meanwhile.append(asked(stack, "/health")[0])
                # It answers; on a busy machine a second may be too short for what it asks for.
                meanwhile.append(200 if (ready := asked(stack, "/ready")[0]) == 503 else ready)
                sent = asked(stack, "/api/v2/pipeline/ingest", key=stack.publishable_key, method="POST", body=batch)
                meanwhile.append(200 if sent[0] == 202 else sent[0])
                clients = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
                counted.append((threads(stack.pids["web"]), (server.execute(clients).fetchone() or (0,))[0]))

    with ThreadPoolExecutor(CROWD + 1) as crowd:
        looking = crowd.submit(look_on)
        answers = list(crowd.map(visit, range(CROWD)))
        done.set()
        looking.result()
    assert set(answers) == {200}
    assert set(meanwhile) == {200}
    assert max(threads for threads, _ in counted) < settings.PERSONA_REQUEST_THREADS + HEADROOM
    assert max(connections for _, connections in counted) < settings.PERSONA_REQUEST_THREADS + HEADROOM


def test_a_wrong_host_is_refused_in_one_line(stack: Stack) -> None:
    status, headers, body = asked(stack, "/api/projects/demo/personas", host="evil-api.example")
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(body)["code"] == "request.host"
    status, headers, _ = asked(stack, "/", host="evil-page.example")
    assert (status, headers["content-type"]) == (400, "text/html; charset=utf-8")
    for host in ("evil-api.example", "evil-page.example"):
        (line,) = [line for line in stack.log.splitlines() if host in line]
        assert json.loads(line)["level"] == "warning"
        assert "Traceback" not in line


ENDLESS = {
    "address": b"GET /" + b"a" * 2_000_000,
    "header": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 2_000_000,
    "headers": b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: a\r\n" * 250_000,
    "trailers": b"POST /api/v2/pipeline/ingest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n" + b"X-A: a\r\n" * 250_000,
}


@pytest.mark.parametrize("request_bytes", ENDLESS.values(), ids=ENDLESS)
def test_a_request_without_an_end_is_ended(request_bytes: bytes, stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as connection:
        try:
            connection.sendall(request_bytes)
            while connection.recv(65_536):
                pass
        except ConnectionError:
            return  # cut while we were sending or reading


def test_a_body_in_the_smallest_chunks_is_no_such_request(stack: Stack) -> None:
    body = json.dumps({"batch": [{"type": "track", "event": "x", "properties": {"y": "z" * 30_000}}]}).encode()
    head = (
        f"POST /api/v2/pipeline/ingest HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {stack.publishable_key}\r\n"
    )
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 202")
