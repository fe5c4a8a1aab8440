"""Who is in the sample is the same question with the same answer in every language."""

import json
import subprocess
import sys

import pytest

from tests.sdks.drivers import DRIVERS, RACE, SDKS

VECTORS = json.loads((SDKS / "conformance" / "sampling" / "shares.json").read_text())

PYTHON = """
import json, sys
from persona_sdk.sampling import share
print(json.dumps([share(vector["id"]) for vector in json.loads(sys.argv[1])]))
"""
JAVASCRIPT = """
import { share } from "./javascript/config.js";
console.log(JSON.stringify(JSON.parse(process.argv[1]).map((vector) => share(vector.id))));
"""


def needs(language: str) -> None:
    driver = next(driver for driver in DRIVERS if driver.language == language)
    if driver.lacking:
        pytest.skip(driver.lacking)


def printed(*command: str, cwd: str) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True, timeout=100).stdout


def test_python() -> None:
    answer = printed(sys.executable, "-c", PYTHON, json.dumps(VECTORS), cwd=str(SDKS / "python"))
    assert json.loads(answer) == [vector["share"] for vector in VECTORS]


def test_javascript() -> None:
    needs("node")
    answer = printed("node", "--input-type=module", "-e", JAVASCRIPT, json.dumps(VECTORS), cwd=str(SDKS))
    assert json.loads(answer) == [vector["share"] for vector in VECTORS]


def test_go() -> None:
    """Its own tests read the same file; neither `go vet` nor the race detector has a complaint."""
    needs("go")
    printed("go", "vet", "./...", cwd=str(SDKS / "go"))
    assert "ok" in printed("go", "test", *RACE, "./...", cwd=str(SDKS / "go"))
