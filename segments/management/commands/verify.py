"""Recompute a project's memberships from its events and say what differs. Usable on a live system: it moves nobody."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.models import Project
from persona.lib.clock import parse_instant
from segments import cursors
from segments.verify import results
from segments.verify.passes import verify
from segments.verify.report import Report

SHOWN = 50  # differences printed; the number says how many there are


class Command(BaseCommand):
    help = "Check every membership, timer and log row of a project against its events. Exit code 1: something differs."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug")
        parser.add_argument("--at", help="also judge this future instant (RFC 3339) and check the timers against it")

    def handle(self, *_: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        at = _instant(options["at"])
        report = Report()
        for report in verify(project, at=at):
            self._progress(report)
        self._finish(project, report, at)

    def _progress(self, report: Report) -> None:
        if sys.stderr.isatty():
            print(f"\r{report.profiles:,} profiles, {report.pairs:,} memberships", end="", file=sys.stderr, flush=True)

    def _finish(self, project: Project, report: Report, at: int | None) -> None:
        if sys.stderr.isatty():
            print(file=sys.stderr)
        for difference in report.differences[:SHOWN]:
            self.stdout.write(f"{difference.kind}: {difference.what}")
        if at is not None:
            self.stdout.write(f"{report.changes_at:,} memberships will be different then, if nothing happens.")
        self._left_out(report)
        self.stdout.write(f"{report.profiles:,} profiles, {report.pairs:,} memberships: {report.count:,} differences")
        results.keep(project.pk, report)
        if report.count:
            sys.exit(1)

    def _left_out(self, report: Report) -> None:
        if report.busy:
            self.stdout.write(f"{report.busy:,} profiles were left out: something happened to them at every look.")
        if report.left_out:
            self.stdout.write(f"{report.left_out:,} personas were left out: they are being judged anew.")


def _instant(given: str | None) -> int | None:
    if given is None:
        return None
    at = parse_instant(given)
    with cursors.raw_cursor() as cursor:
        now = cursors.clock(cursor)
    if at is None or at < now:
        raise CommandError("--at takes an instant in the future, such as 2030-01-31T12:00:00Z.")
    return at
