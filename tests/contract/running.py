"""schemathesis against a running installation: what there is to be asked about, and the run itself.

By hand, for as long as one likes: `python -m tests.contract.running --seconds 600`.
"""

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import unicodedata
import urllib.request
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from tests.stack import Stack, reachable_folder, wait_for

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SETTINGS = {"PERSONA_DEMO": "0", "PERSONA_INGEST_RATE": "0", "PERSONA_API_RATE": "0"}
RULE = {"v": 1, "rule": {"op": "event", "event": "came", "cmp": "gte", "value": 1, "window": {"last": "P1D"}}}
CODECS = {"utf-8": [(0, 0xD7FF), (0xE000, 0x10FFFF)], "ascii": [(0, 0x7F)]}
PHASES = "examples,coverage,fuzzing,stateful"


def prepared(stack: Stack) -> dict[str, str]:
    """Something of everything in the installation's project; what each is called."""
    _ask(stack, "personas", {"slug": "contract", "rule": RULE})
    hook = _ask(stack, "destinations", {"kind": "webhook", "name": "contract", "url": "https://contract.invalid/"})
    events = [{"type": "track", "event": "came", "userId": "contract"}, {"type": "track", "userId": "contract"}]
    batch = _post(stack, "/api/v2/pipeline/ingest", {"batch": events})
    letters = wait_for(lambda: _ask(stack, "dead-letters?limit=1")["results"], "the dead letter")
    key = _ask(stack, "keys", {"kind": "pk", "name": "contract"})
    return {
        "PROJECT": stack.running.project,
        "PUBLISHABLE_KEY": stack.publishable_key,
        "PERSONA": "contract",
        "PROFILE": wait_for(lambda: _profile(stack), "the profile"),
        "LOOKUP": key["lookup"],
        "DESTINATION": hook["id"],
        "LETTER": letters[0]["id"],
        "BATCH": batch["batchId"],
    }


def run(stack: Stack, names: dict[str, str], folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """One run of schemathesis with its own configuration in `folder`."""
    (folder / CONFIGURATION.name).write_text(Template(CONFIGURATION.read_text()).substitute(names))
    command = [
        _program(), "--config-file", str(folder / CONFIGURATION.name), "run", f"{stack.url}/api/schema/",
        "--header", f"Authorization: Bearer {stack.secret_key}", "--continue-on-failure",
        "--generation-database", ":memory:", "--request-timeout", "30", "--no-color", *options,
    ]  # fmt: skip
    tables = folder / "tables"
    _remember_codecs(tables / "unicode_data" / unicodedata.unidata_version)
    environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tables)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _remember_codecs(folder: Path) -> None:
    """Which characters can be written: hypothesis tries each of a million, unless it finds its own notes here."""
    folder.mkdir(parents=True)
    for codec, encodable in CODECS.items():
        (folder / f"codec-v2-{codec}.json.gz").write_bytes(gzip.compress(msgspec.json.encode((encodable, []))))


def _program() -> str:
    """Beside this Python."""
    found = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert found, "schemathesis is not installed: make check"
    return found


def _profile(stack: Stack) -> str:
    results = _ask(stack, "personas/contract/members")["results"]
    return str(results[0]["profile"]) if results else ""


def _ask(stack: Stack, path: str, body: Any = None) -> Any:
    return _post(stack, f"/api/projects/{stack.running.project}/{path}", body)


def _post(stack: Stack, path: str, body: Any) -> Any:
    """POST with a body, else GET."""
    headers = {"authorization": f"Bearer {stack.secret_key}", "content-type": "application/json"}
    data = None if body is None else msgspec.json.encode(body)
    request = urllib.request.Request(stack.url + path, data, headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
        return msgspec.json.decode(answer.read())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with reachable_folder() as folder, Stack(folder / "home", **SETTINGS) as stack:
        options = ("--max-time", str(given.seconds), "--seed", str(given.seed), "--phases", PHASES)
        found = run(stack, prepared(stack), Path(tempfile.mkdtemp(dir=folder)), *options)
        print(found.stdout, found.stderr)  # noqa: T201 - a command
        said = [line for line in stack.log.splitlines() if "request.failed" in line or "Traceback" in line]
    print("\n".join(said))  # noqa: T201 - a command
    return found.returncode or bool(said)


if __name__ == "__main__":
    sys.exit(main())
