"""`manage.py import PROJECT project.yml`"""  # noqa: N999 - the command is called import

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.commands import ACTOR, one_line, the_project
from persona.lib import plainyaml
from persona.transfer import bring_in


class Command(BaseCommand):
    help = "Create and change personas and settings as a file of `export` says: all of it, or nothing."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug of the project")
        parser.add_argument("file", help="the file; - for standard input")
        parser.add_argument("--prune", action="store_true", help="delete the personas that are not in it")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        project = the_project(options["project"])
        try:
            text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text("utf-8")
            given = plainyaml.loads(text)
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise CommandError(f"{options['file']} is not text in UTF-8.") from None
        except plainyaml.Unreadable as error:
            raise CommandError(f"{options['file']} cannot be read: {error}.") from None
        if not isinstance(given, dict):
            raise CommandError("This is not a document of `export`.")
        for deed in bring_in(project, given, actor=ACTOR, prune=options["prune"]) or ["Nothing differs."]:
            self.stdout.write(deed)
