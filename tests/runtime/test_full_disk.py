"""A disk that is full, at the start and while everything runs.

Made with a limit on the size of files: no file can grow, whoever runs the tests, and the limit can be taken back.
"""

import http.client
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.runtime.test_web import asked
from tests.stack import ROOT, Stack, alive, processes_of
from tests.waiting import until

CLUSTER = 1_000_000  # bytes: less than the first file of a cluster's log of writes
BATCH = json.dumps({"batch": [{"type": "track", "event": "looked", "userId": "alice"}]}).encode()


def limit(pid: int, size: int) -> None:
    """Nobody may set a limit of another's process, in a container not even root: so its own user does."""
    owner = Path(f"/proc/{pid}").stat()
    who = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    subprocess.run(
        ["/bin/true"],
        preexec_fn=lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY)) and None,
        check=True,
        **who,  # type: ignore[call-overload]  # Popen's many keywords
    )


def fill(stack: Stack) -> None:
    """Nothing of the installation can write a byte to a file; what it starts meanwhile neither."""
    everything(stack, 0, set())


def empty(stack: Stack, done: set[int]) -> bool:
    """True. Once is not enough: a process that is just becoming another program cannot be seen, and keeps its limit.
    done: who is free already."""
    everything(stack, resource.RLIM_INFINITY, done)
    return True


def everything(stack: Stack, size: int, limited: set[int]) -> None:
    while rest := processes_of(stack.home) - limited:  # twice or more: somebody may have started somebody meanwhile
        for pid in rest:
            limited.add(pid)
            try:
                limit(pid, size)
            except (FileNotFoundError, subprocess.SubprocessError):
                assert not alive(pid)


def test_up_on_a_disk_that_fills_at_the_start_is_one_line(home: Path) -> None:
    stack = Stack(home)
    stack.launch(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (CLUSTER, CLUSTER)))
    code, said = stack.result()
    assert code == 1
    assert "Traceback" not in said
    assert "initdb failed" in said.splitlines()[-1]
    assert not processes_of(home)


def test_a_disk_without_room_for_a_cluster_is_one_line(home: Path) -> None:
    stack = Stack(home, PERSONA_LEAST_FREE_BYTES=str(2**50))
    stack.launch()
    code, said = stack.result()
    assert code == 1
    (line,) = said.splitlines()
    assert "is full" in line


def test_a_disk_that_fills_loses_nothing_acknowledged(shop: Stack) -> None:
    acknowledged: list[str] = []

    def ask(path: str, **given: Any) -> tuple[int, Mapping[str, str], bytes]:
        try:
            return asked(shop, f"/api/v2/pipeline/{path}", key=shop.secret_key, **given)
        except (OSError, http.client.HTTPException):
            return 0, {}, b""  # the web process itself is being started again

    def send() -> tuple[int, str]:
        status, headers, body = ask("ingest", method="POST", body=BATCH)
        if status == 202:
            acknowledged.append(json.loads(body)["batchId"])
        return status, headers.get("retry-after", "")

    def applied(batch: str) -> bool:
        status, _, body = ask(f"batches/{batch}")
        return status == 200 and json.loads(body)["status"] == "applied"

    assert send()[0] == 202
    fill(shop)
    status, retry = until(lambda: answer if (answer := send())[0] not in (0, 202) else None, "a refusal")
    assert status == 503
    assert int(retry) > 0
    assert alive(shop.supervisor)
    free: set[int] = set()
    until(lambda: empty(shop, free) and send()[0] == 202, "batches to be taken again")
    for batch in acknowledged:
        until(lambda batch=batch: applied(batch), f"{batch} to be applied")  # type: ignore[misc]  # bound at once


def test_a_server_that_crashes_is_made_anew(shop: Stack) -> None:
    """By the supervisor: by itself it would recover once, and stand still for ever where the disk was full by then."""
    server = shop.pids["postgres"]
    (writer,) = [pid for pid in processes_of(shop.home) if title(pid).startswith("postgres: walwriter")]
    os.kill(writer, signal.SIGABRT)
    until(lambda: not alive(server), "the server to end")
    until(lambda: shop.pids.get("postgres", server) != server, "its successor")
    until(lambda: asked(shop, "/ready")[0] == 200, "everything to be ready")


def title(pid: int) -> str:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def test_what_starts_on_a_full_disk_keeps_its_measurements_to_itself(tmp_path: Path) -> None:
    """The files of prometheus_client are mapped: where the disk has no room for them, the kernel ends the process."""
    script = (
        "import os; from pathlib import Path; from persona.lib import metrics; metrics.ROOM = 2**60;"
        f"metrics.share(Path({str(tmp_path)!r})); from prometheus_client import Counter; Counter('a', 'b').inc();"
        f"assert os.listdir({str(tmp_path)!r}) == []; assert metrics.registry().get_sample_value('a_total') == 1"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, check=True)
