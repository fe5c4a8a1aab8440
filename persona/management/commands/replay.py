"""Send a data file through the HTTP ingest of a running server, with a progress bar, and count what was stored."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from persona.progress import Progress
from persona.replay import retail, sender
from persona.replay.sender import Batch, Outcome

BATCH = 256  # the pipeline's largest


class Command(BaseCommand):
    help = "Replay the Online Retail CSV (.csv or .csv.gz) through the real HTTP ingest. Sending it again adds nothing."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--project", default="demo", help="checked against demo.json when no --key is given")
        parser.add_argument("--shift-to-now", action="store_true", help="move all instants so that the last one is now")
        parser.add_argument("--url", help="default: the server of demo.json in PERSONA_HOME")
        parser.add_argument("--key-variable", default="PERSONA_SECRET_API_KEY", help="variable that holds an sk_ key")
        parser.add_argument("--connections", type=int, default=4, choices=range(1, 33), metavar="1..32")
        parser.add_argument("--limit", type=at_least_one, help="only the first so many rows")

    def handle(self, *_: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        url, key = self._target(options)
        try:
            self._replay(path, url, key, options)
        except (retail.NotRetail, sender.CannotSend, ValueError) as error:
            raise CommandError(str(error)) from None

    def _replay(self, path: Path, url: str, key: str, options: dict[str, Any]) -> None:
        rows, latest = retail.span(path)
        rows = min(rows, options["limit"] or rows)
        shift = int(time.time() * 1000) - latest if options["shift_to_now"] else 0
        sent = Sent(rows)
        started = time.monotonic()
        batches = limited(retail.batches(path, shift=shift, size=BATCH), rows)
        ids = sender.send_all(batches, url=url, key=key, connections=options["connections"], on_sent=sent.add)
        accepted = time.monotonic() - started
        total = Outcome()
        for one in sender.outcomes(ids, url=url, key=key):
            total = Outcome(total.stored + one.stored, total.duplicates + one.duplicates, total.rejected + one.rejected)
        seconds = time.monotonic() - started
        self.stdout.write(
            f"{rows:,} events accepted in {accepted:.1f} s; {total.stored:,} stored, {total.duplicates:,} duplicates,"
            f" {total.rejected:,} rejected in {seconds:.1f} s: {total.stored / seconds:,.0f} events stored per second"
        )

    def _target(self, options: dict[str, Any]) -> tuple[str, str]:
        """Address and secret key: from the options, else from the demo.json that `up` wrote."""
        key = os.environ.get(options["key_variable"], "")
        known: dict[str, Any] = {}
        demo = settings.PERSONA_HOME / "demo.json"
        if demo.is_file():
            known = json.loads(demo.read_text())
        if not key:
            if known.get("project") != options["project"]:
                raise CommandError(
                    f"No key for project {options['project']!r}: put an sk_ key into {options['key_variable']},"
                    " or start `manage.py up` for the demo project."
                )
            key = known["secret_key"]
        url = options["url"] or known.get("url")
        if not url:
            raise CommandError("Which server? Say --url http://127.0.0.1:8000, or start `manage.py up`.")
        return url, key


class Sent:
    """How many rows are accepted, and how fast."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.started = total, 0, time.monotonic()
        self.bar = Progress(total)

    def add(self, n: int) -> None:
        self.done += n
        rate = self.done / max(time.monotonic() - self.started, 0.001)
        self.bar.show(self.done, f"{self.done:,} of {self.total:,}  {rate:,.0f}/s accepted")


def at_least_one(text: str) -> int:
    """A number of rows."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def limited(batches: Iterable[Batch], rows: int) -> Iterator[Batch]:
    """The batches up to that many rows in all."""
    for batch in batches:
        if rows <= 0:
            return
        yield batch[:rows]
        rows -= len(batch)
