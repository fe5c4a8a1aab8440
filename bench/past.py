"""How fast a file of the past comes in: `python bench/past.py --events 200000`. Needs the development requirements.

Starts an installation of its own, writes a file of NDJSON (gzip) and imports it with `manage.py import-events`; four
personas judge everybody at the end. Reported is what the command says: stored events by its whole time, start to end.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import installation

from persona.demo.personas import PERSONAS
from tests.e2e.calling import Caller
from tests.stack import ROOT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--people", type=int, default=10_000)
    given = parser.parse_args()
    with installation.folder() as base, installation.installation() as stack:
        file = written(base, given.events, given.people)
        server = Caller(stack.url, stack.secret_key)
        for slug in list(PERSONAS)[:4]:
            server.persona(slug, PERSONAS[slug][1])
        environment = {**os.environ, "PERSONA_HOME": str(stack.home), "DATABASE_URL": stack.database_url}
        command = [sys.executable, "manage.py", "import-events", str(file), "--project", stack.running.project]
        began = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        seconds = time.monotonic() - began
    print(f"{given.events:,} events in {seconds:.1f} s, the command's start included: {given.events / seconds:,.0f}/s")
    return code


def written(folder: Path, events: int, people: int) -> Path:
    """Pages and orders of the last ten days, in the order of time."""
    path = folder / "past.ndjson.gz"
    start = time.time() - 10 * 86_400
    with gzip.open(path, "wt", compresslevel=1) as file:
        for number in range(events):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + number * 10 * 86_400 / events))
            event = {
                "type": "track", "event": "order_placed" if number % 20 == 0 else "page_viewed", "timestamp": at,
                "userId": f"u-{number * 7919 % people}", "messageId": f"past-{number}",
                "properties": {"path": f"/p/{number % 97}", "total": number % 200},
            }  # fmt: skip
            file.write(json.dumps(event) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
