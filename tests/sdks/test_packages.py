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
from server import Scripted

from tests.sdks.drivers import ROOT, SDKS

TAKEN = {"ingest": [{"status": 202}]}
TYPESCRIPT = ROOT / "tests" / "interop" / "node_modules" / "typescript" / "bin" / "tsc"
CONSUMERS = Path(__file__).parent / "consumers"
TYPES = {"node": "index.d.mts", "browser": "persona.d.mts"}
NODE = """
const { Persona } = %s;
const persona = new Persona("pk_test_conformance", { url: process.argv.at(-1) });
persona.track("installed", { from: "%s" });
"""
CLOSES = """
persona.subscribe({}, () => {});
await persona.flush();
await persona.close();
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
PYTHON = """
import sys
from persona_sdk import Persona
Persona("pk_test_conformance", url=sys.argv[1]).track("installed", user_id="alice")
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
    with Scripted(TAKEN) as server:
        for command in commands:
            run(*command, server.url, cwd=cwd)
        assert [event["event"] for event in server.seen.stored] == ["installed"] * len(commands)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that both npm packages are installed in, as npm would publish them."""
    needs("npm", "npm")
    place = tmp_path_factory.mktemp("npm")
    for name in TYPES:
        if not (SDKS / name / "node_modules").exists():
            pytest.skip("needs esbuild (make interop)")
        run("npm", "run", "--silent", "build", cwd=SDKS / name)
        made = json.loads(run("npm", "pack", "--json", "--pack-destination", str(place), cwd=SDKS / name))[0]
        with tarfile.open(place / made["filename"]) as archive:
            archive.extractall(place, filter="data")
        target = place / "node_modules" / "@persona" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (place / "package").rename(target)
    return place


def test_node(place: Path) -> None:
    """Both kinds of module, closed and not closed; and without what Node 18 does not yet have as a global name."""
    (place / "esm.mjs").write_text(NODE % ('await import("@persona/node")', "import") + CLOSES)
    (place / "cjs.cjs").write_text(NODE % ('require("@persona/node")', "require"))
    sends(["node", "esm.mjs"], ["node", "--no-experimental-global-webcrypto", "cjs.cjs"], cwd=place)


@pytest.mark.parametrize("name", TYPES)
def test_a_package_holds_what_it_names(name: str, place: Path) -> None:
    target = place / "node_modules" / "@persona" / name
    wanted = json.loads((target / "package.json").read_text())
    for file in (wanted["main"], wanted["module"], wanted["types"], "README.md", "CHANGELOG.md", *targets(wanted)):
        assert (target / file).stat().st_size > 0, file


def targets(exports: object) -> list[str]:
    """Every file that the package's `exports` name."""
    if isinstance(exports, str):
        return [exports]
    found = exports.get("exports", exports) if isinstance(exports, dict) else {}
    return [file for one in found.values() for file in targets(one)]


def test_the_types_hold_for_programs_of_either_kind(place: Path) -> None:
    """Strictly, the declarations themselves included: as an ES module, as CommonJS, and for a bundler."""
    if not TYPESCRIPT.exists():
        pytest.skip("needs TypeScript (make interop)")
    node, browser = (CONSUMERS / "node.ts").read_text(), (CONSUMERS / "browser.ts").read_text()
    for file, text in {"node.mts": node, "node.cts": node, "browser.mts": browser, "node.ts": node}.items():
        (place / file).write_text(text)
    strict = [
        "node",
        str(TYPESCRIPT),
        "--noEmit",
        "--strict",
        "--target",
        "es2022",
        "--lib",
        "es2022",
    ]
    run(*strict, "--module", "node16", "node.mts", "node.cts", "browser.mts", cwd=place)
    run(*strict, "--module", "esnext", "--moduleResolution", "bundler", "node.ts", "browser.mts", cwd=place)


def test_the_types_name_every_method_of_node(place: Path) -> None:
    (place / "names.mjs").write_text(NAMES)
    methods = set(json.loads(run("node", "names.mjs", cwd=place)))
    assert methods == declared(SDKS / "node" / "src" / "types.d.ts", "export class Persona")


def test_the_types_name_every_deed_of_the_browser() -> None:
    source = (SDKS / "browser" / "src" / "persona.js").read_text()
    deeds = re.search(r"DEEDS = \[(.*)\]", source)
    assert deeds is not None
    types = SDKS / "browser" / "src" / "types.d.ts"
    assert {"init", *json.loads(f"[{deeds[1]}]")} == declared(types, "export interface Persona ")


def declared(path: Path, head: str) -> set[str]:
    body = path.read_text().partition(head)[2].partition("\n}")[0]
    return set(re.findall(r"^  (\w+)\(", body, re.MULTILINE))


def test_what_is_served_is_what_the_sources_build(tmp_path: Path) -> None:
    needs("npm", "npm")
    if not (SDKS / "browser" / "node_modules").exists():
        pytest.skip("needs esbuild (make interop)")
    served = ROOT / "static" / "assets" / "sdk.js"
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
    """Into an environment that has of all else only what httpx brings."""
    venv.create(tmp_path / "env", with_pip=False, system_site_packages=False)
    (packages,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index", "--no-build-isolation"]
    run(*pip, "install", *alone, "--target", str(packages), str(SDKS / "python"), cwd=tmp_path)  # builds it first
    assert list(packages.glob("persona_sdk-*.dist-info"))
    httpx = Path(str(__import__("httpx").__file__)).parent.parent
    (packages / "httpx.pth").write_text(str(httpx))
    sends([str(tmp_path / "env" / "bin" / "python"), "-c", PYTHON], cwd=tmp_path)


@pytest.mark.parametrize(
    ("language", "files"),
    [
        ("browser", ["package.json", "src/client.js", "package-lock.json"]),
        ("node", ["package.json", "src/index.js", "package-lock.json"]),
        ("go", ["options.go"]),
        ("python", ["pyproject.toml", "persona_sdk/version.py"]),
    ],
)
def test_a_version_is_the_same_wherever_it_is_written(language: str, files: Sequence[str]) -> None:
    newest = re.search(r"^## (\S+)", (SDKS / language / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    for file in files:
        found = re.search(r'version"?\s*[:=]\s*"([^"]+)"', (SDKS / language / file).read_text(), re.IGNORECASE)
        assert found is not None, file
        assert found[1] == newest[1], file
