"""`manage.py import-events FILE --project P --map M`"""  # noqa: N999 - the command is called import-events

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.commands import ACTOR, one_line, the_project
from persona.importing import course
from persona.importing.course import Report, Stage
from persona.importing.mapping import Map, Unusable, read_map
from persona.lib import plainyaml
from persona.progress import Progress

AGAIN = "The same command goes on where it was."


class Command(BaseCommand):
    help = "Store the events of a file (.ndjson, .jsonl or .csv, perhaps .gz) with their own instants, telling nobody."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--project", required=True, help="slug of the project")
        parser.add_argument("--map", type=Path, help="YAML or JSON; without it each line is an event of our own wire")
        parser.add_argument(
            "--refused", type=Path, help="where what cannot be taken goes; default: FILE.refused.ndjson"
        )
        parser.add_argument("--notify", action="store_true", help="streams and destinations are told who moves")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        project = the_project(options["project"])
        refused = options["refused"] or path.with_name(f"{path.name}.refused.ndjson")
        bars = Bars()
        try:
            report = course.bring_in(
                project=project, path=path, mapping=self._map(options["map"]), refusals=refused,
                notify=options["notify"], actor=ACTOR, told=bars.show,
            )  # fmt: skip
        except Unusable as error:
            raise CommandError(str(error)) from None
        except (OSError, EOFError) as error:
            raise CommandError(f"{path}: {error}. {AGAIN}") from None
        self._say(report, refused, bars.seconds)

    def _map(self, path: Path | None) -> Map | None:
        if path is None:
            return None
        try:
            return read_map(plainyaml.loads(path.read_text("utf-8")))
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}.") from None
        except (plainyaml.Unreadable, UnicodeDecodeError) as error:
            raise CommandError(f"{path} is neither YAML nor JSON: {error}.") from None

    def _say(self, report: Report, refused: Path, seconds: float) -> None:
        fate = report.fate
        if report.was_finished:
            self.stdout.write("This file was imported before, with this map; nothing of it is imported again.")
        stored = f"{fate.stored:,} stored, {fate.duplicates:,} known already, {fate.rejected:,} dead letters"
        rate = "" if report.was_finished else f" in {seconds:.1f} s: {fate.stored / max(seconds, 0.1):,.0f} a second"
        self.stdout.write(
            f"{report.records:,} records: {stored}{rate}. {report.personas} personas have judged everybody."
        )
        if report.refused:
            self.stdout.write(
                f"{report.refused:,} records are no events that can be taken; with their lines: {refused}"
            )
        if report.parked:
            self.stdout.write(f"{report.parked} batches could not be applied; they are on the page of parked batches.")
        for record, code, detail in report.letters:
            self.stdout.write(f"record {record}: {code}: {detail}")


class Bars:
    """One for each stage."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._bars: dict[str, Progress] = {}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def show(self, stage: Stage) -> None:
        bar = self._bars.setdefault(stage.what, Progress(stage.total))
        text = f"{stage.done:,} of {stage.total:,} {stage.what}"
        if stage.events:
            text = f"{stage.events:,} records read  {stage.events / max(self.seconds, 0.001):,.0f}/s"
        bar.show(stage.done, text)
