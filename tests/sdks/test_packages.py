"""What is published installs from the built artifact into a fresh place, and works there without a network."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sdks.drivers import SDKS
from tests.sdks.test_conformance import SERVER

TAKEN = {"ingest": [{"status": 202}]}
NODE = """
const { Persona } = %s;
const persona = new Persona("pk_test_conformance", { url: process.argv.at(-1) });
persona.track("installed", { from: "%s" });
"""
NAMES = """
import { Persona } from "@persona/node";
const inner = ["put", "refusal", "sampledBy", "context", "configured", "tell", "dropped"];
const names = (one) =>
  one === Object.prototype ? [] : [...Object.getOwnPropertyNames(one), ...names(Object.getPrototypeOf(one))];
console.log(JSON.stringify([...new Set(names(Persona.prototype))].filter((name) => !inner.includes(name))));
"""
GO = """package main

import (
	"context"
	"os"

	persona "persona.dev/go"
)

func main() {
	client := persona.New("pk_test_conformance", persona.Options{URL: os.Args[1]})
	_ = client.Track("alice", "installed", nil)
	if err := client.Close(context.Background()); err != nil {
		panic(err)
	}
}
"""


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needs(program: str, package: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program} (Debian: apt-get install {package})")


def sends(*commands: Sequence[str], cwd: Path) -> None:
    """Each command, given the server's address, tracks one event and ends by itself."""
    with SERVER.Scripted(TAKEN) as server:
        for command in commands:
            run(*command, server.url, cwd=cwd)
        assert [event["event"] for event in server.seen.stored] == ["installed"] * len(commands)


def packed(name: str, place: Path) -> Path:
    """The package as npm would publish it, unpacked where `require` and `import` look."""
    needs("npm", "npm")
    if not (SDKS / name / "node_modules").exists():
        pytest.skip("needs esbuild (make interop)")
    run("npm", "run", "--silent", "build", cwd=SDKS / name)
    made = json.loads(run("npm", "pack", "--json", "--pack-destination", str(place), cwd=SDKS / name))[0]
    with tarfile.open(place / made["filename"]) as archive:
        archive.extractall(place, filter="data")
    target = place / "node_modules" / "@persona" / name
    target.parent.mkdir(parents=True)
    (place / "package").rename(target)
    return target


def test_node(tmp_path: Path) -> None:
    packed("node", tmp_path)
    (tmp_path / "esm.mjs").write_text(NODE % ('await import("@persona/node")', "import"))
    (tmp_path / "cjs.cjs").write_text(NODE % ('require("@persona/node")', "require"))
    sends(["node", "esm.mjs"], ["node", "cjs.cjs"], cwd=tmp_path)


@pytest.mark.parametrize(("name", "types"), [("node", "index.d.ts"), ("browser", "persona.d.ts")])
def test_a_package_holds_what_it_names(name: str, types: str, tmp_path: Path) -> None:
    target = packed(name, tmp_path)
    wanted = json.loads((target / "package.json").read_text())
    for file in (wanted["main"], wanted["types"], "README.md", "CHANGELOG.md", types):
        assert (target / file).stat().st_size > 0, file


def test_the_types_name_every_method_of_node(tmp_path: Path) -> None:
    packed("node", tmp_path)
    (tmp_path / "names.mjs").write_text(NAMES)
    methods = set(json.loads(run("node", "names.mjs", cwd=tmp_path)))
    assert methods == declared(SDKS / "node" / "index.d.ts", "export class Persona")


def test_the_types_name_every_deed_of_the_browser() -> None:
    deeds = re.search(r"DEEDS = \[(.*)\]", (SDKS / "browser" / "src" / "persona.js").read_text())
    assert deeds is not None
    assert {"init", *json.loads(f"[{deeds[1]}]")} == declared(
        SDKS / "browser" / "persona.d.ts", "export interface Persona "
    )


def declared(path: Path, head: str) -> set[str]:
    body = path.read_text().partition(head)[2].partition("\n}")[0]
    return set(re.findall(r"^  (\w+)\(", body, re.MULTILINE))


def test_what_is_served_is_what_the_sources_build(tmp_path: Path) -> None:
    needs("npm", "npm")
    if not (SDKS / "browser" / "node_modules").exists():
        pytest.skip("needs esbuild (make interop)")
    served = SDKS.parent / "static" / "assets" / "sdk.js"
    before = served.read_bytes()
    run("npm", "run", "--silent", "build", cwd=SDKS / "browser")
    assert served.read_bytes() == before


def test_go_by_replace(tmp_path: Path) -> None:
    needs("go", "golang-go")
    (tmp_path / "main.go").write_text(GO)
    (tmp_path / "go.mod").write_text(
        f'module example\n\ngo 1.19\n\nrequire persona.dev/go v0.1.0\n\nreplace persona.dev/go => "{SDKS / "go"}"\n'
    )
    run("go", "build", "-o", "program", ".", cwd=tmp_path)
    sends(["./program"], cwd=tmp_path)


def test_python_wheel(tmp_path: Path) -> None:
    """Into an environment that has of all else only httpx."""
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "-w",
        str(tmp_path),
        str(SDKS / "python"),
        cwd=tmp_path,
    )
    venv.create(tmp_path / "env", with_pip=False, system_site_packages=False)
    (wheel,) = tmp_path.glob("persona_sdk-*.whl")
    httpx = Path(str(__import__("httpx").__file__)).parent.parent
    program = (
        f"import sys; sys.path[:0] = [{str(wheel)!r}, {str(httpx)!r}]; from persona_sdk import Persona; "
        "Persona('pk_test_conformance', url=sys.argv[1]).track('installed', user_id='alice')"
    )
    sends([str(tmp_path / "env" / "bin" / "python"), "-c", program], cwd=tmp_path)
