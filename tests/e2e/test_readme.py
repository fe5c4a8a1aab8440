"""The commands that people copy, from the README and from what `up` prints: each works as it stands."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from persona.demo.personas import PERSONAS
from persona.lib.clock import parse_instant
from tests.e2e.calling import SOON, Caller
from tests.stack import ROOT, Stack, wait_for

BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


@pytest.fixture(scope="module")
def shop(server: Caller) -> None:
    """The two personas of the demo that the commands speak of, with the demo's own rules."""
    for slug in ("browsing_now", "high_intent"):
        server.persona(slug, PERSONAS[slug][1])


def copied(stack: Stack) -> list[str]:
    """The README's blocks with a curl line, for this installation instead of the usual one."""
    readme = (ROOT / "README.md").read_text()
    blocks = [block for block in BLOCKS.findall(readme) if "curl" in block]
    return [
        block.replace("http://127.0.0.1:8000", stack.url).replace("var/demo.json", str(stack.home / "demo.json"))
        for block in blocks
    ]


def printed(stack: Stack) -> list[str]:
    return [line.strip() for line in stack.log.splitlines() if line.strip().startswith("curl")]


def run(command: str) -> Any:
    """The JSON that it prints."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=SOON)
    return json.loads(done.stdout)


@contextmanager
def watched(command: str, output: Path) -> Iterator[Path]:
    """The command runs; what it prints is in the file."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["bash", "-c", command], stdout=file, stderr=subprocess.DEVNULL, start_new_session=True
        )
    try:
        wait_for(lambda: "event: heartbeat" in output.read_text(), "the stream to open", SOON)
        yield output
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(SOON)


def frames(output: Path) -> list[dict[str, str]]:
    """The data of all whole frames so far, heartbeats left out."""
    whole = output.read_text().rpartition("\n\n")[0]
    return [json.loads(line[6:]) for line in whole.splitlines() if line.startswith('data: {"')]


def entered(output: Path, profile: str) -> set[str]:
    return {frame["persona"] for frame in frames(output) if frame["op"] == "enter" and frame["profile"] == profile}


@pytest.mark.usefixtures("shop")
def test_the_readme(stack: Stack, tmp_path: Path) -> None:
    watch, send, look = copied(stack)
    assert "-N" in watch
    with watched(watch, tmp_path / "watched") as output:
        assert run(send)["accepted"] == 4
        wait_for(lambda: run(look).get("personas"), "Alice to be somewhere", SOON)
        alice = run(look)
        wait_for(lambda: entered(output, alice["profile"]) == {"browsing_now", "high_intent"}, "both enters", SOON)
    stays = {
        one["persona"]: (parse_instant(one["leaves_at"]) or 0) - (parse_instant(one["since"]) or 0)
        for one in alice["personas"]
    }
    assert stays == {"browsing_now": 60_000, "high_intent": 600_000}


@pytest.mark.usefixtures("shop")
def test_what_up_prints(stack: Stack, server: Caller, tmp_path: Path) -> None:
    watch, send = printed(stack)
    with watched(watch, tmp_path / "watched") as output:
        assert run(send)["accepted"] == 1
        wait_for(lambda: server.ask("GET", f"{server.root}/profiles/you").status == 200, "the profile", SOON)
        you = server.profile("you")["profile"]
        wait_for(lambda: entered(output, you) == {"browsing_now"}, "the enter", SOON)
