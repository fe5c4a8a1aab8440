"""Makes .venv as the locks say, and does nothing when it already is so. Runs on any Python from 3.11 on, without
anything installed: `python3 tools/install.py requirements.lock [requirements-dev.lock]`, from the top folder.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"  # lock -> digest of what is installed; written last
BUILD = Path("requirements-build.lock")  # setuptools and wheel, for what is published as source only
NAME = re.compile(r"^([A-Za-z0-9][\w.-]*)==", re.MULTILINE)
PROGRESS = re.compile(r"(Collecting|Building wheel for|Installing collected packages)( [\w.-]+(==[\w.]+)?)?")


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
    if starts(f"import pip, sys; sys.exit(sys.version != {sys.version!r})"):
        return
    print(f"Making a virtual environment with Python {sys.version.split()[0]}", flush=True)
    result = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True, check=False
    )
    if result.returncode:
        print(result.stdout + result.stderr, file=sys.stderr)
        sys.exit("Python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv")


def install(locks: Sequence[Path]) -> None:
    """pip, with every file checked against its hash, one short line per package."""
    packages = {name for lock in locks for name in NAME.findall(lock.read_text())}
    print(f"Installing {' and '.join(map(str, locks))} ({len(packages)} packages)", flush=True)
    command = [
        str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-build-isolation", "--no-deps",
        "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-compile",
    ]  # fmt: skip
    for lock in locks:
        command += ["-r", str(lock)]
    code, said = run(command)
    if code:
        print("".join(said[-25:]), file=sys.stderr)
        sys.exit("The requirements could not be installed; above is what pip said.")


def compile_all() -> None:
    """What pip would do file by file, on all processors. Some packages carry files that no Python can compile."""
    print("  compiling", flush=True)
    subprocess.run([PYTHON, "-m", "compileall", "-qq", "-j", "0", VENV / "lib"], check=False)


def run(command: Sequence[str]) -> tuple[int, list[str]]:
    """pip's exit code and all it said; shows which package it is at."""
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            said.append(line)
            if match := PROGRESS.match(line):
                print(f"  {match[0].strip().lower()}", flush=True)
    return process.returncode, said


def main(locks: list[Path]) -> None:
    wanted = {str(lock): digest(lock) for lock in locks}
    have = installed()
    if wanted.items() <= have.items():
        return
    make_environment()
    STAMP.unlink(missing_ok=True)
    install([BUILD])
    install(locks)
    compile_all()
    STAMP.write_text(json.dumps({"python": sys.version, **have, **wanted}, indent=1))
    print("Installed", flush=True)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
