"""How the driver of each language is started, and what it lacks where it cannot be."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SDKS = ROOT / "sdks"
PATIENCE = 60.0  # seconds
RACE = ["-race"] if shutil.which("gcc") else []  # Go's detector of races needs a C compiler


@dataclass(frozen=True)
class Driver:
    """`command()` builds what must be built, once; `lacking` names the program that is not there."""

    language: str
    command: Callable[[], Sequence[str]]
    needs: str | None = None
    package: str = ""

    @property
    def lacking(self) -> str | None:
        if self.needs is None or shutil.which(self.needs):
            return None
        return f"needs {self.needs} (Debian: apt-get install {self.package})"


def python() -> Sequence[str]:
    return [sys.executable, str(SDKS / "python" / "conformance" / "driver.py")]


def node() -> Sequence[str]:
    return ["node", str(SDKS / "node" / "conformance" / "driver.mjs")]


def browser() -> Sequence[str]:
    return [sys.executable, "-m", "tests.sdks.browser_driver"]


def go() -> Sequence[str]:
    program = SDKS / "go" / "dist" / "conformance"
    subprocess.run(["go", "build", *RACE, "-o", str(program), "./conformance"], cwd=SDKS / "go", check=True)
    return [str(program)]


DRIVERS = (
    Driver("python", python),
    Driver("node", node, needs="node", package="nodejs"),
    Driver("go", go, needs="go", package="golang-go"),
    Driver("browser", browser, needs="chromium", package="chromium"),
)


class Playing:
    """A driver at work: one process for all cases of its language."""

    def __init__(self, command: Sequence[str], language: str) -> None:
        self.language = language
        environ = {**os.environ, "PYTHONPATH": str(SDKS / "python")}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, env=environ, stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def play(self, script: str) -> str:
        """What was heard. The driver's own limit on waits bounds this."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(script + "\n")
        heard = self._process.stdout.readline()
        assert heard, f"the driver ended with code {self._process.wait()}"
        return heard

    def end(self) -> int:
        """The exit code: of itself, or something was left open."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(PATIENCE)
        finally:
            self._process.kill()
