"""Makes .venv as the locks say, and does nothing when it already is so. Runs on any Python from 3.11 on, without
anything installed: `python3 tools/install.py requirements.lock [requirements-dev.lock]`, from the top folder.
"""

import ast
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"  # lock -> digest of what is installed; written last
BUILD = Path("requirements-build.lock")  # uv, and what builds the few that are published as source only
NAME = re.compile(r"^([A-Za-z0-9][\w.-]*)==", re.MULTILINE)
PROGRESS = re.compile(r"(Collecting|Resolved|Downloading|Building|Prepared|Installed) \S+( packages in .*)?")
HOW = ("--require-hashes", "--no-deps", "--no-build-isolation")  # every file is checked against its hash
PIP = (
    PYTHON, "-m", "pip", "install", *HOW, "--disable-pip-version-check", "--no-input", "--progress-bar", "off",
    "--no-compile",
)  # fmt: skip
UV = (PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON, "--no-progress", *HOW)
WHOLE = "from importlib.metadata import files; next(iter(files('pip')))"  # the list of them is unpacked last
TOOLS = r"/site-packages/(pip|setuptools)/"
TOLD = re.compile(r"^(global|install|:env:)\.([\w-]+)=(.+)$", re.MULTILINE)
IN_UV = {
    "index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX", "trusted-host": "UV_INSECURE_HOST", "cert": "SSL_CERT_FILE", "proxy": "ALL_PROXY",
}  # fmt: skip


def digest(lock: Path) -> str:
    return hashlib.sha256(BUILD.read_bytes() + lock.read_bytes()).hexdigest()


def installed() -> dict[str, str]:
    """What the stamp says, if it is of this Python and the environment still starts."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    if stamp.pop("python", None) != sys.version or not starts(""):
        return {}
    return {str(lock): str(value) for lock, value in stamp.items()}


def starts(code: str) -> bool:
    if not PYTHON.exists():
        return False
    return subprocess.run([PYTHON, "-c", code], capture_output=True, check=False).returncode == 0


def make_environment() -> None:
    if starts(f"import sys; {WHOLE}; sys.exit(sys.version != {sys.version!r})"):
        return
    print(f"Making a virtual environment with Python {sys.version.split()[0]}", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV], check=False)
    wheel = bundled_pip()
    if made.returncode or wheel is None:
        sys.exit("Python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv")
    with zipfile.ZipFile(wheel) as packed:  # as it is: ensurepip takes four seconds to do the same
        packed.extractall(sysconfig.get_path("purelib", "venv", {"base": str(VENV)}))


def bundled_pip() -> Path | None:
    """The pip that Python itself carries, or its distribution for it."""
    bundled = importlib.util.find_spec("ensurepip")
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR")]
    if bundled and bundled.origin:
        folders.append(Path(bundled.origin).parent / "_bundled")
    return next((wheel for folder in folders if folder for wheel in sorted(Path(folder).glob("pip-*.whl"))), None)


def install(*locks: Path, by_pip: bool = False) -> None:
    """By uv, which takes a tenth of pip's time, or by pip where uv cannot: each shows how far it is."""
    for lock in locks:
        print(f"Installing {lock} ({len(NAME.findall(lock.read_text()))} packages)", flush=True)
    what = [word for lock in locks for word in ("-r", lock)]
    if not by_pip:
        code, said = run((*UV, *what), {**as_pip_was_told(), **os.environ})
        if code == 0:
            return
        print("".join(said[-25:]) + "uv could not install them; pip tries it.", file=sys.stderr, flush=True)
    code, said = run((*PIP, *what), os.environ)
    if code:
        print("".join(said[-25:]), file=sys.stderr)
        sys.exit("The requirements could not be installed; above is what pip said.")


def as_pip_was_told() -> dict[str, str]:
    """Where packages come from, in uv's words: it does not read pip's settings. Of two indexes pip takes the better
    match, uv the first one; the hashes say which file it has to be."""
    said = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    told = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for section in ("global", "install", ":env:"):  # the later one counts
        for found, name, value in TOLD.findall(said):
            if found == section and name in IN_UV:
                parts = str(ast.literal_eval(value)).split()
                told[IN_UV[name]] = ("," if name == "find-links" else " ").join(parts)
    return told


def compile_all() -> None:
    """What pip would do file by file, on all processors. Some packages carry files that no Python can compile."""
    print("  compiling", flush=True)
    subprocess.run([PYTHON, "-m", "compileall", "-qq", "-j", "0", "-x", TOOLS, VENV / "lib"], check=False)


def run(command: Sequence[str | Path], environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """The exit code and all that was said; shows which package it is at."""
    said = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            if match := PROGRESS.match(line.strip()):
                print(f"  {match[0].lower()}", flush=True)
    return process.returncode, said


def main(locks: list[Path]) -> None:
    wanted = {str(lock): digest(lock) for lock in locks}
    have = installed()
    if wanted.items() <= have.items():
        return
    make_environment()
    STAMP.unlink(missing_ok=True)
    install(BUILD, by_pip=True)
    install(*locks)
    if len(locks) == 1:  # what serves; of what tests and checks, which is twice as much, a quarter is ever used
        compile_all()
    STAMP.write_text(json.dumps({"python": sys.version, **have, **wanted}, indent=1))
    print("Installed", flush=True)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
