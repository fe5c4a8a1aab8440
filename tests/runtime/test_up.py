"""`manage.py up`: what it starts, restarts, refuses and leaves behind."""

import http.client
import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from persona.running.embedded import Postgres
from persona.running.home import Running
from tests.stack import Stack, alive, processes_of, wait_for


def asked(url: str, key: str = "") -> bytes:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("GET", f"{address.path}?{address.query}", headers=headers)
        response = connection.getresponse()
        body = response.read()
        assert response.status == http.HTTPStatus.OK, body
        return body
    finally:
        connection.close()


def children_of(pid: int) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found.add(int(entry.name))
    return found


def test_demo_json_says_everything_and_only_to_its_owner(shop: Stack) -> None:
    path = shop.home / "demo.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((shop.home / "secret_key").stat().st_mode) == 0o600
    said = json.loads(path.read_text())
    assert said["url"] == f"http://127.0.0.1:{shop.port}"
    assert said["project"] == "demo"
    assert said["publishable_key"].startswith("pk_live_")
    assert said["secret_key"].startswith("sk_live_")
    assert said["admin_user"]
    assert said["admin_password"]
    assert set(said["pids"]) == {"web", "worker", "bulk", "deliver", "beat", "nursery", "postgres"}
    assert all(alive(pid) for pid in said["pids"].values())


def test_it_is_ready_and_says_how_to_begin(shop: Stack) -> None:
    assert json.loads(asked(f"{shop.url}/ready"))["status"] == "ready"
    for line in (shop.url, shop.publishable_key, shop.secret_key, "/stream", "/ingest"):
        assert line in shop.log
    assert "Traceback" not in shop.log.partition("Persona runs")[0]  # other tests have ill-treated it since


def test_the_traffic_moves_people_through_the_demo_personas(shop: Stack) -> None:
    def entered() -> bool:
        answer = json.loads(asked(f"{shop.url}/api/projects/demo/changes?after=0", shop.secret_key))
        return any(change["op"] == "enter" for change in answer["results"])

    personas = json.loads(asked(f"{shop.url}/api/projects/demo/personas", shop.secret_key))["results"]
    assert len(personas) >= 4
    wait_for(entered, "somebody to enter a demo persona")


def test_a_second_up_on_the_same_home_says_so(shop: Stack) -> None:
    second = Stack(shop.home)
    second.launch()
    code, said = second.result()
    assert code == 1
    assert "already runs" in said
    assert str(shop.supervisor) in said
    assert len(said.splitlines()) == 1


def words(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode().split("\0")[1:]


def test_whoever_looks_at_the_processes_sees_who_is_who(shop: Stack) -> None:
    pids = shop.pids
    assert words(pids["web"])[:3] == ["-m", "uvicorn", "persona.asgi:application"]
    assert words(pids["nursery"]) == ["manage.py", "nursery"]
    assert words(pids["beat"])[-3:] == ["-S", "celery.beat:Scheduler", "--pidfile="]
    for name in ("worker", "bulk", "deliver"):
        assert f"{name}@%h" in words(pids[name])


def test_what_the_others_are_made_of_has_neither_threads_nor_connections(shop: Stack) -> None:
    """A fork would take none of its threads along, and would share its connections."""
    process = Path(f"/proc/{shop.pids['nursery']}")
    assert len(list((process / "task").iterdir())) == 1
    sockets = [file for file in (process / "fd").iterdir() if file.readlink().name.startswith("socket:")]
    assert len(sockets) == 1  # to the supervisor


@pytest.mark.parametrize("name", ["nursery", "web", "worker", "bulk", "deliver", "beat", "postgres"])
def test_a_killed_child_comes_back(shop: Stack, name: str) -> None:
    others = {other: pid for other, pid in shop.pids.items() if other != name}
    orphans = children_of(shop.pids[name])
    new = shop.kill(name)
    assert alive(new)
    wait_for(lambda: not any(alive(pid) for pid in orphans), f"the children of the killed {name} to end")
    wait_for(lambda: ready(shop), "/ready")
    assert {other: pid for other, pid in shop.pids.items() if other != name} == others


def ready(stack: Stack) -> bool:
    try:
        return bool(asked(f"{stack.url}/ready"))
    except (OSError, AssertionError, http.client.HTTPException):
        return False


def refused(stack: Stack) -> str:
    """What a start says that must fail: one line at its end, no traceback, exit code 1, nothing left."""
    stack.launch()
    code, said = stack.result()
    assert code == 1
    assert "Traceback" not in said
    assert not processes_of(stack.home)
    return said


def test_a_busy_port_is_one_line(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(Stack(home, PORT=str(port)))
    assert len(said.splitlines()) == 1
    assert f"Port {port}" in said


def test_an_unreachable_database_is_one_line(home: Path) -> None:
    said = refused(Stack(home, DATABASE_URL="postgresql://alice:hush@127.0.0.1:1/persona"))
    assert "DATABASE_URL cannot be used" in said.splitlines()[0]
    assert "hush" not in said
    assert len(said.splitlines()) == 1


def test_a_home_that_cannot_be_made_is_one_line(home: Path) -> None:
    (home.parent / "a file").touch()
    said = refused(Stack(home, PERSONA_HOME=str(home.parent / "a file" / "home")))
    assert len(said.splitlines()) == 1
    assert "PERSONA_HOME" in said


def test_a_number_that_is_none_is_one_line(home: Path, shop: Stack) -> None:
    said = refused(Stack(home, DATABASE_URL=shop.database_url, PERSONA_SHARDS="many"))
    assert said.splitlines()[-1].startswith("persona: PERSONA_SHARDS")


@contextmanager
def served(cluster: Path) -> Iterator[str]:
    """By a server of one's own, and elsewhere: the address."""
    server = Postgres(cluster.rename(cluster.parent.parent / "elsewhere"), durable=False).start()
    try:
        yield server.dsn()
    finally:
        server.stop()


def access(running: Running) -> Running:
    return msgspec.structs.replace(running, url="", pids={})


def test_it_stops_cleanly_keeps_its_keys_with_a_database_of_ones_own_too_and_leaves_nothing_when_killed(
    shop: Stack,
) -> None:
    """The last one: it ends the installation that the others use, and somebody else serves its database to another.
    DATABASE_URL without REDIS_URL: nothing is embedded, the broker lives in that database."""
    first = shop.running
    everything = processes_of(shop.home)
    assert everything >= set(first.pids.values())
    os.kill(shop.supervisor, signal.SIGTERM)
    wait_for(lambda: not alive(shop.supervisor), "the supervisor to stop")
    assert shop.stop() == 0
    assert not [pid for pid in everything if alive(pid)]
    assert msgspec.structs.replace(first, pids={}) == shop.running

    with (
        served(shop.home / "postgres") as url,
        Stack(shop.home, DATABASE_URL=url, PERSONA_DEMO="0", PERSONA_WORKERS="2") as again,
    ):
        assert set(again.pids) == {"web", "worker", "worker2", "bulk", "deliver", "beat", "nursery"}
        assert ready(again)
        assert access(again.running) == access(first)
        assert asked(f"{again.url}/api/projects/demo/personas", first.secret_key)
        everything = processes_of(shop.home)
        os.kill(again.supervisor, signal.SIGKILL)
        wait_for(lambda: not [pid for pid in everything if alive(pid)], "everything to end")
