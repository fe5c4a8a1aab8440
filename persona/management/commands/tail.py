"""`manage.py tail PROJECT [--persona X]`: enters and leaves as they happen."""

import time
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.commands import one_line, the_project
from keys.models import Project
from persona.lib.clock import rfc3339
from segments import log
from segments.log import LogRow
from segments.models import Persona

PAGE = 500
PAUSE = 0.25  # seconds between two looks when nothing is new


class Command(BaseCommand):
    help = (
        "Follow the change log: in colors on a terminal, as NDJSON in a pipe. Ends with Ctrl-C, or when it has shown N."
    )
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug of the project")
        parser.add_argument("--persona", action="append", default=[], help="only this one; again for more")
        parser.add_argument("--after", type=int, help="from this number of the log on; unless given, from now on")
        parser.add_argument("--count", type=int, default=0, help="end after so many")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        project = the_project(options["project"])
        personas = [_persona(project, slug).pk for slug in options["persona"]] or None
        after = log.bounds(project.pk)[1] if options["after"] is None else options["after"]
        left = options["count"] or -1
        if after < (oldest := log.bounds(project.pk)[0]) - 1:
            self.stderr.write(f"The log begins at {oldest}: what was before it is no longer kept.")
        try:
            while left:
                rows = log.after(project.pk, after, personas, PAGE if left < 0 else min(PAGE, left))
                for row in rows:
                    self.stdout.write(self._line(row))
                    after = row.seq
                    left -= 1
                self.stdout.flush()
                if not rows:
                    time.sleep(PAUSE)
        except (KeyboardInterrupt, BrokenPipeError):
            return

    def _line(self, row: LogRow) -> str:
        if not self.stdout.isatty():
            shown = {name: getattr(row, name) for name in ("seq", "profile", "persona", "op", "cause", "version")}
            return msgspec.json.encode({**shown, "at": rfc3339(row.at)}).decode()
        paint = self.style.SUCCESS if row.op == "enter" else self.style.WARNING
        return f"{rfc3339(row.at)}  {paint(f'{row.op:5}')}  {row.persona:24}  {row.profile}  {row.cause}  #{row.seq}"


def _persona(project: Project, slug: str) -> Persona:
    found = Persona.objects.filter(project=project, slug=slug).order_by("-id").first()
    if found is None:
        raise CommandError(f"The project has no persona {slug!r}.")
    return found
