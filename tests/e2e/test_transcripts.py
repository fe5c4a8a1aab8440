"""The runs on the pages of the wires: each command as it stands there, and what it prints, but for what moves."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.calling import SOON, Caller
from tests.stack import ROOT, Stack, wait_for

PAGES = ("pipeline", "productgraph", "segment", "segops")
RUNS = re.compile(
    r"^```sh\n(?P<command>.*?)^```\n(?:(?!```).)*^```(?:json)?\n(?P<output>.*?)^```$", re.MULTILINE | re.DOTALL
)
BATCH = re.compile(r"\bb_[0-9a-f]{22}\b")
# A token, an instant, what is left of a rate: of the right form, whatever they are.
MOVING = (
    (re.compile(r"\breq_[0-9a-f]{20}\b"), "req_"),
    (re.compile(r'"token":"[\w.-]+"'), '"token":""'),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z(?=\")(?=.{0,40}\"(uid|error))"), "instant"),
    (re.compile(r"(?<=ratelimit-remaining: )\d+"), "n"),
)
pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


def runs(page: str) -> Iterator[tuple[str, str]]:
    """Commands that need no more than $URL, $PROJECT and $KEY or $PK, with what the page says that they print."""
    for found in RUNS.finditer((ROOT / "docs" / "reference" / f"{page}.md").read_text()):
        if "curl" in found["command"] and "$JWT" not in found["command"]:
            yield found["command"], found["output"]


def steady(text: str) -> list[str]:
    for pattern, instead in MOVING:
        text = pattern.sub(instead, text)
    return text.split("\n")


@pytest.fixture(scope="module")
def shell(stack: Stack) -> dict[str, str]:
    running = stack.running
    added = stack.manage("add_secret", running.project, "shopify", given="hush\n")
    assert added.returncode == 0, added.stderr
    given = {"URL": stack.url, "PROJECT": running.project, "KEY": stack.secret_key, "PK": stack.publishable_key}
    return {**os.environ, **given}


def printed(command: str, shell: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", command.replace("curl ", "curl -s ")],
        env=shell, cwd=folder, capture_output=True, text=True, check=True, timeout=SOON,
    )  # fmt: skip
    return done.stdout.replace("\r\n", "\n")


@pytest.mark.parametrize("page", PAGES)
def test_a_run(page: str, stack: Stack, server: Caller, shell: dict[str, str], tmp_path: Path) -> None:
    learned: dict[str, str] = {}
    count = 0
    for command, said in runs(page):
        for old, new in learned.items():
            command = command.replace(old, new)
        if "/batches/" in command:
            wait_for(lambda command=command: "pending" not in printed(command, shell, tmp_path), "to be applied")  # type: ignore[misc]  # bound at once
        got = printed(command, shell, tmp_path)
        learned |= dict(zip(BATCH.findall(said), BATCH.findall(got), strict=True))
        for old, new in learned.items():
            said = said.replace(old, new)
        lines = steady(got)
        # Of the headers a page shows those that matter, in their order.
        rest = iter(lines)
        assert all(line in rest for line in steady(said.rstrip("\n"))), (said, got)
        count += 1
    assert count, "the page has no run"
